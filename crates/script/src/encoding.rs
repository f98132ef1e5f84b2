//! `k6/encoding`.

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine};
use rquickjs::function::{Func, Opt};
use rquickjs::{Ctx, Exception, IntoJs, Object, Result, Value};

use crate::bytes;

/// Base64 with padding or without. Bits that are left over are not looked at, as k6 does not.
const fn engine(alphabet: &alphabet::Alphabet, is_padded: bool) -> GeneralPurpose {
    let padding = if is_padded {
        DecodePaddingMode::RequireCanonical
    } else {
        DecodePaddingMode::RequireNone
    };
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(is_padded)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(padding);
    GeneralPurpose::new(alphabet, config)
}

const STANDARD: GeneralPurpose = engine(&alphabet::STANDARD, true);
const RAW_STANDARD: GeneralPurpose = engine(&alphabet::STANDARD, false);
pub(crate) const URL: GeneralPurpose = engine(&alphabet::URL_SAFE, true);
pub(crate) const RAW_URL: GeneralPurpose = engine(&alphabet::URL_SAFE, false);

fn variant(ctx: &Ctx, name: Option<&str>) -> Result<GeneralPurpose> {
    Ok(match name.unwrap_or("std") {
        "std" | "" => STANDARD,
        "rawstd" => RAW_STANDARD,
        "url" => URL,
        "rawurl" => RAW_URL,
        other => {
            let text =
                format!("`{other}` is not an encoding; use `std`, `rawstd`, `url` or `rawurl`");
            return Err(Exception::throw_message(ctx, &text));
        }
    })
}

/// Base64 in the standard alphabet.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn encode<'js>(ctx: Ctx<'js>, input: Value<'js>, encoding: Opt<Option<String>>) -> Result<String> {
    let engine = variant(&ctx, encoding.0.flatten().as_deref())?;
    Ok(engine.encode(bytes::of(&ctx, &input)?))
}

fn decode<'js>(
    ctx: Ctx<'js>,
    input: String,
    encoding: Opt<Option<String>>,
    format: Opt<Option<String>>,
) -> Result<Value<'js>> {
    let engine = variant(&ctx, encoding.0.flatten().as_deref())?;
    // Lines may be broken anywhere.
    let mut input = input;
    input.retain(|c| c != '\n' && c != '\r');
    let bytes = engine
        .decode(input)
        .map_err(|e| Exception::throw_message(&ctx, &format!("the input is not base64: {e}")))?;
    match format.0.flatten().as_deref() {
        Some("s") => String::from_utf8_lossy(&bytes).into_owned().into_js(&ctx),
        _ => bytes::buffer(&ctx, &bytes),
    }
}

/// The exports of `k6/encoding`.
pub(crate) fn install_encoding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let exports = Object::new(ctx.clone())?;
    exports.set("b64encode", Func::from(encode))?;
    exports.set("b64decode", Func::from(decode))?;
    Ok(exports)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{eval, eval_error};

    #[test]
    fn base64_is_written_and_read_in_four_ways() {
        let cases = [
            ("b64encode('Hello, 世界')", "SGVsbG8sIOS4lueVjA=="),
            ("b64encode('Hello, 世界', 'rawstd')", "SGVsbG8sIOS4lueVjA"),
            ("b64encode('??>>', 'std')", "Pz8+Pg=="),
            ("b64encode('??>>', 'url')", "Pz8-Pg=="),
            ("b64encode('??>>', 'rawurl')", "Pz8-Pg"),
            ("b64encode('', null)", ""),
            ("b64encode('\\ud800a')", "77+9YQ=="),
            ("b64encode(new Uint8Array([0, 255, 16]).buffer)", "AP8Q"),
            (
                "b64encode(new Uint8Array([1, 0, 255, 16]).subarray(1))",
                "AP8Q",
            ),
            ("b64encode(new Uint16Array([0x4241]))", "QUI="),
            ("b64encode([65, 66])", "QUI="),
            (
                "b64decode('SGVsbG8sIOS4lueVjA==', 'std', 's')",
                "Hello, 世界",
            ),
            (
                "b64decode('SGVsbG8sIOS4lueVjA', 'rawstd', 's')",
                "Hello, 世界",
            ),
            ("b64decode('SGVs\\r\\nbG8=', undefined, 's')", "Hello"),
            ("b64decode('Pz8-Pg==', 'url', 's')", "??>>"),
            ("b64decode('Pz8-Pg', 'rawurl', 's')", "??>>"),
            ("new Uint8Array(b64decode('AP8Q')).join()", "0,255,16"),
            ("b64decode('AP8Q') instanceof ArrayBuffer", "true"),
        ];
        for (script, wanted) in cases {
            assert_eq!(eval(install_encoding, script), wanted, "{script}");
        }
    }

    #[test]
    fn what_is_not_base64_throws() {
        for script in [
            "b64decode('a')",
            "b64decode('SGVsbG8')",
            "b64decode('SGVsbG8=', 'rawstd')",
            "b64decode('Pz8-Pg==')",
            "b64encode('a', 'base32')",
            "b64encode({})",
            "b64encode(1)",
        ] {
            assert!(!eval_error(install_encoding, script).is_empty(), "{script}");
        }
    }
}
