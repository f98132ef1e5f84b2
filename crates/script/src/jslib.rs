//! The libraries that scripts import from `https://jslib.k6.io`, written anew: with them, the most
//! used ones need no network.

#[cfg(test)]
mod tests;

/// Where the libraries are.
const HOME: &str = "https://jslib.k6.io/";

/// The libraries, by their names there; any version of theirs is this one.
const LIBRARIES: [(&str, &str); 5] = [
    ("k6-utils", include_str!("js/jslib/utils.js")),
    ("url", include_str!("js/jslib/url.js")),
    ("papaparse", include_str!("js/jslib/papaparse.js")),
    ("k6-summary", include_str!("js/jslib/summary.js")),
    ("formdata", include_str!("js/jslib/formdata.js")),
];

/// The text of a module that is here under an address such as
/// `https://jslib.k6.io/k6-utils/1.4.0/index.js`.
pub(crate) fn built_in(address: &str) -> Option<&'static str> {
    let path = address.strip_prefix(HOME)?;
    let mut parts = path.split('/');
    let (name, version, file) = (parts.next()?, parts.next()?, parts.next()?);
    let is_version = version.split('.').count() == 3
        && version.split('.').all(|part| part.parse::<u32>().is_ok());
    if !is_version || file != "index.js" || parts.next().is_some() {
        return None;
    }
    LIBRARIES
        .iter()
        .find(|(library, _)| *library == name)
        .map(|(_, text)| *text)
}
