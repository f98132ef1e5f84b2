//! Digest authentication: the answer to a server's challenge.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};

/// A name and its password.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// `Authorization` for a request that was challenged; `None` where the challenge is another one.
pub(super) fn answer(
    account: &Account,
    challenge: &str,
    method: &str,
    uri: &str,
    own_nonce: &str,
) -> Option<String> {
    let rest = challenge
        .trim()
        .get(..7)
        .filter(|scheme| scheme.eq_ignore_ascii_case("digest "));
    rest?;
    let parts = parts(&challenge.trim()[7..]);
    let part = |name: &str| {
        parts
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    };
    let (realm, nonce) = (part("realm").unwrap_or_default(), part("nonce")?);
    let algorithm = part("algorithm").unwrap_or("MD5");
    if !algorithm.eq_ignore_ascii_case("md5") {
        return None;
    }
    let quality = part("qop").filter(|all| all.split(',').any(|one| one.trim() == "auth"));
    let who = hash(&format!("{}:{realm}:{}", account.user, account.password));
    let what = hash(&format!("{method}:{uri}"));
    let response = match quality {
        Some(_) => hash(&format!("{who}:{nonce}:00000001:{own_nonce}:auth:{what}")),
        None => hash(&format!("{who}:{nonce}:{what}")),
    };
    let mut text = format!(
        "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm=MD5",
        account.user
    );
    if let Some(opaque) = part("opaque") {
        let _infallible = write!(text, ", opaque=\"{opaque}\"");
    }
    if quality.is_some() {
        let _infallible = write!(text, ", qop=auth, nc=00000001, cnonce=\"{own_nonce}\"");
    }
    Some(text)
}

fn hash(text: &str) -> String {
    hex(&Md5::digest(text.as_bytes()))
}

/// Bytes as digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// `name=value` and `name="value"`, between commas.
fn parts(text: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        all.push((name.trim().to_owned(), value.trim().to_owned()));
        rest = left.trim_start().trim_start_matches(',');
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 2617, section 3.5.
    #[test]
    fn a_challenge_is_answered_as_the_rfc_does() {
        let account = Account {
            user: "Mufasa".into(),
            password: "Circle Of Life".into(),
        };
        let challenge = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
                         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
                         opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let text = answer(&account, challenge, "GET", "/dir/index.html", "0a4f113b");
        let text = text.expect("an answer");
        assert!(
            text.contains("response=\"6629fae49393a05397450978507c4ef1\""),
            "{text}"
        );
        assert!(
            text.contains("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""),
            "{text}"
        );
        assert!(answer(&account, "Basic realm=\"x\"", "GET", "/", "0").is_none());
        assert!(answer(&account, "Digest", "GET", "/", "0").is_none());
    }
}
