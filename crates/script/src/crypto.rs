//! `k6/crypto`, and the global `crypto` as far as it hashes and draws.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;

use base64::Engine as _;
use rquickjs::function::{Func, Opt};
use rquickjs::{Ctx, Exception, Function, IntoJs, Object, Result, Value};
use sha2::Digest;

use crate::{bytes, encoding};

/// The most random bytes of one call.
const MAX_RANDOM: f64 = 16_777_216.0;

/// The algorithms, by k6's names.
const ALGORITHMS: [&str; 9] = [
    "md4",
    "md5",
    "sha1",
    "sha256",
    "sha384",
    "sha512",
    "sha512_224",
    "sha512_256",
    "ripemd160",
];

/// A hash that is under way.
trait Hash {
    fn update(&mut self, bytes: &[u8]);
    /// Of what came so far; more may come.
    fn digest(&self) -> Vec<u8>;
}

impl<D: Digest + Clone> Hash for D {
    fn update(&mut self, bytes: &[u8]) {
        Digest::update(self, bytes);
    }

    fn digest(&self) -> Vec<u8> {
        self.clone().finalize().to_vec()
    }
}

/// A new hash, and how many bytes it takes at once.
fn hash(algorithm: &str) -> Option<(Box<dyn Hash>, usize)> {
    Some(match algorithm {
        "md4" => (Box::new(md4::Md4::new()), 64),
        "md5" => (Box::new(md5::Md5::new()), 64),
        "sha1" => (Box::new(sha1::Sha1::new()), 64),
        "sha256" => (Box::new(sha2::Sha256::new()), 64),
        "sha384" => (Box::new(sha2::Sha384::new()), 128),
        "sha512" => (Box::new(sha2::Sha512::new()), 128),
        "sha512_224" => (Box::new(sha2::Sha512_224::new()), 128),
        "sha512_256" => (Box::new(sha2::Sha512_256::new()), 128),
        "ripemd160" => (Box::new(ripemd::Ripemd160::new()), 64),
        _ => return None,
    })
}

/// What hashes the inner hash.
type Outer = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// HMAC as RFC 2104 has it.
struct Hmac {
    inner: Box<dyn Hash>,
    outer: Outer,
}

impl Hmac {
    fn new(algorithm: &str, secret: &[u8]) -> Option<Self> {
        let (mut inner, block) = hash(algorithm)?;
        let mut key = secret.to_vec();
        if key.len() > block {
            let (mut short, _) = hash(algorithm)?;
            short.update(secret);
            key = short.digest();
        }
        key.resize(block, 0);
        let padded = |with: u8| key.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
        inner.update(&padded(0x36));
        let (outer_key, algorithm) = (padded(0x5c), algorithm.to_owned());
        let outer = Box::new(move |inner: &[u8]| {
            let Some((mut outer, _)) = hash(&algorithm) else {
                return Vec::new();
            };
            outer.update(&outer_key);
            outer.update(inner);
            outer.digest()
        });
        Some(Self { inner, outer })
    }
}

impl Hash for Hmac {
    fn update(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
    }

    fn digest(&self) -> Vec<u8> {
        (self.outer)(&self.inner.digest())
    }
}

fn unknown(ctx: &Ctx, algorithm: &str) -> rquickjs::Error {
    let known = ALGORITHMS.join(", ");
    let text = format!("`{algorithm}` is not a hash algorithm; use one of {known}");
    Exception::throw_message(ctx, &text)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
    }
    text
}

/// A hash as a script wants it.
fn output<'js>(ctx: &Ctx<'js>, hash: &[u8], encoding: Option<&str>) -> Result<Value<'js>> {
    match encoding.unwrap_or("hex") {
        "hex" | "" => hex(hash).into_js(ctx),
        "base64" => encoding::base64(hash).into_js(ctx),
        "base64url" => encoding::URL.encode(hash).into_js(ctx),
        "base64rawurl" => encoding::RAW_URL.encode(hash).into_js(ctx),
        "binary" => bytes::buffer(ctx, hash),
        other => {
            let text = format!(
                "`{other}` is not an output encoding; use hex, base64, base64url, base64rawurl or \
                 binary"
            );
            Err(Exception::throw_message(ctx, &text))
        }
    }
}

/// `createHash` and `createHMAC`: an object with `update` and `digest`.
fn hasher<'js>(ctx: &Ctx<'js>, hash: Box<dyn Hash>) -> Result<Object<'js>> {
    let hash = Rc::new(RefCell::new(hash));
    let object = Object::new(ctx.clone())?;
    let updated = Rc::clone(&hash);
    let update = move |ctx: Ctx<'js>, input: Value<'js>| -> Result<()> {
        let input = bytes::of(&ctx, &input)?;
        updated.borrow_mut().update(&input);
        Ok(())
    };
    let digest = move |ctx: Ctx<'js>, encoding: Opt<Option<String>>| -> Result<Value<'js>> {
        let digest = hash.borrow().digest();
        output(&ctx, &digest, encoding.0.flatten().as_deref())
    };
    object.set("update", Function::new(ctx.clone(), update)?)?;
    object.set("digest", Function::new(ctx.clone(), digest)?)?;
    Ok(object)
}

fn random<'js>(ctx: &Ctx<'js>, size: f64) -> Result<Value<'js>> {
    if !(0.0..=MAX_RANDOM).contains(&size) || size.fract() != 0.0 {
        let text = format!("{size} is not a number of random bytes from 0 to {MAX_RANDOM}");
        return Err(Exception::throw_range(ctx, &text));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above"
    )]
    let mut bytes = vec![0; size as usize];
    getrandom::fill(&mut bytes)
        .map_err(|e| Exception::throw_message(ctx, &format!("no random bytes: {e}")))?;
    bytes::buffer(ctx, &bytes)
}

fn hmac<'js>(
    ctx: Ctx<'js>,
    algorithm: String,
    secret: Value<'js>,
    input: Value<'js>,
    encoding: Opt<Option<String>>,
) -> Result<Value<'js>> {
    let secret = bytes::of(&ctx, &secret)?;
    let mut hmac = Hmac::new(&algorithm, &secret).ok_or_else(|| unknown(&ctx, &algorithm))?;
    hmac.update(&bytes::of(&ctx, &input)?);
    output(&ctx, &hmac.digest(), encoding.0.flatten().as_deref())
}

/// The exports of `k6/crypto`.
pub(crate) fn install_crypto<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let exports = Object::new(ctx.clone())?;
    for algorithm in ALGORITHMS {
        let whole = move |ctx: Ctx<'js>,
                          input: Value<'js>,
                          encoding: Opt<Option<String>>|
              -> Result<Value<'js>> {
            let (mut hash, _) = hash(algorithm).ok_or_else(|| unknown(&ctx, algorithm))?;
            hash.update(&bytes::of(&ctx, &input)?);
            output(&ctx, &hash.digest(), encoding.0.flatten().as_deref())
        };
        exports.set(algorithm, Function::new(ctx.clone(), whole)?)?;
    }
    exports.set("hmac", Func::from(hmac))?;
    let create_hash = |ctx: Ctx<'js>, algorithm: String| -> Result<Object<'js>> {
        let (hash, _) = hash(&algorithm).ok_or_else(|| unknown(&ctx, &algorithm))?;
        hasher(&ctx, hash)
    };
    exports.set("createHash", Function::new(ctx.clone(), create_hash)?)?;
    let create_hmac =
        |ctx: Ctx<'js>, algorithm: String, secret: Value<'js>| -> Result<Object<'js>> {
            let secret = bytes::of(&ctx, &secret)?;
            let hmac = Hmac::new(&algorithm, &secret).ok_or_else(|| unknown(&ctx, &algorithm))?;
            hasher(&ctx, Box::new(hmac))
        };
    exports.set("createHMAC", Function::new(ctx.clone(), create_hmac)?)?;
    let random_bytes = |ctx: Ctx<'js>, size: f64| random(&ctx, size);
    exports.set("randomBytes", Function::new(ctx.clone(), random_bytes)?)?;
    let hex_encode =
        |ctx: Ctx<'js>, input: Value<'js>| -> Result<String> { Ok(hex(&bytes::of(&ctx, &input)?)) };
    exports.set("hexEncode", Function::new(ctx.clone(), hex_encode)?)?;
    Ok(exports)
}

/// The global `crypto`, as an object with that one member.
pub(crate) fn install_webcrypto<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let native = Object::new(ctx.clone())?;
    let digest = |ctx: Ctx<'js>, algorithm: String, input: Value<'js>| -> Result<Value<'js>> {
        let (mut hash, _) = hash(&algorithm).ok_or_else(|| unknown(&ctx, &algorithm))?;
        hash.update(&bytes::of(&ctx, &input)?);
        bytes::buffer(&ctx, &hash.digest())
    };
    native.set("digest", Function::new(ctx.clone(), digest)?)?;
    let random_bytes = |ctx: Ctx<'js>, size: f64| random(&ctx, size);
    native.set("random", Function::new(ctx.clone(), random_bytes)?)?;
    let make: Function = ctx.eval(include_str!("js/webcrypto.js"))?;
    make.call((native,))
}

#[cfg(test)]
mod tests;
