//! The cookies of one user (RFC 6265).

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;

use cookie_store::{Cookie, CookieStore};
use http::HeaderMap;
use http::header::SET_COOKIE;
use url::Url;

use crate::scenario::{Origin, Values, text_of};

/// Longest field that sets a cookie which is looked at: browsers take as much (RFC 6265, section
/// 6.1).
const LONGEST: usize = 4096;
/// Most cookies that a user keeps; browsers keep about as many of one site.
const MOST: usize = 180;

/// The cookies of one user. One who was given none takes no room.
#[derive(Default)]
pub(super) struct Jar(Option<Box<Kept>>);

/// What is kept of one who was given any.
#[derive(Default)]
struct Kept {
    store: CookieStore,
    /// The address that was asked for last: most users ask for few, and reading one takes longer
    /// than all else here.
    last: Option<Asked>,
}

struct Asked {
    authority: String,
    tls: bool,
    target: String,
    url: Url,
}

impl Jar {
    /// Takes what an answer sets; gives whether there was anything.
    pub(super) fn take(&mut self, origin: &Origin, request: &[u8], headers: &HeaderMap) -> bool {
        let mut set = headers.get_all(SET_COOKIE).iter().peekable();
        if set.peek().is_none() {
            return false;
        }
        let Some(target) = target(request) else {
            return false;
        };
        let Kept { store, last } = &mut **self.0.get_or_insert_with(Box::default);
        let Some(url) = address(last, origin, target) else {
            return false;
        };
        for value in set.filter(|value| value.len() <= LONGEST) {
            let text = text_of(value.as_bytes());
            // One that may not be set, for another site or out of date, is not.
            let _ = store.parse(&text, url);
            make_room(store);
        }
        true
    }

    /// A request with the cookies that belong to it, where there are any; those that it has already
    /// stay as they are.
    pub(super) fn add_to(&mut self, origin: &Origin, request: &[u8]) -> Option<Vec<u8>> {
        let Kept { store, last } = &mut **self.0.as_mut()?;
        let url = address(last, origin, target(request)?)?;
        let mut kept = store.matches(url);
        if kept.is_empty() {
            return None;
        }
        let head = Head::of(request)?;
        kept.retain(|cookie| !head.names(cookie.name()));
        if kept.is_empty() {
            return None;
        }
        if kept.len() > 1 {
            // The more particular first (RFC 6265, section 5.4).
            kept.sort_by_key(|cookie| Reverse(String::from(&cookie.path).len()));
        }
        Some(head.with(&kept))
    }

    /// Writes the values of the cookies that templates name where they are read.
    pub(super) fn fill_in(&self, names: &[String], values: &mut Values) {
        for (index, name) in names.iter().enumerate() {
            let kept = self.0.iter().flat_map(|kept| kept.store.iter_unexpired());
            // Of several with a name the one that was set for the longest path is the most
            // particular.
            let named = kept.filter(|cookie| cookie.name() == name);
            let found = named.max_by_key(|cookie| String::from(&cookie.path).len());
            values.set_cookie(index, found.map(|cookie| cookie.value().to_owned()));
        }
    }

    /// Throws all away.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}

/// Throws cookies away that are too many: those that are out of date, then of the site that set
/// most of them the oldest, as browsers do (RFC 6265, section 5.3).
fn make_room(store: &mut CookieStore) {
    type Key = (String, String, String);
    let key = |cookie: &Cookie<'static>| -> Key {
        let (domain, path) = (String::from(&cookie.domain), String::from(&cookie.path));
        (domain, path, cookie.name().to_owned())
    };
    while store.iter_any().count() > MOST {
        let mut of_site: HashMap<String, usize> = HashMap::new();
        for cookie in store.iter_any() {
            *of_site.entry(String::from(&cookie.domain)).or_default() += 1;
        }
        let most = of_site.into_iter().max_by_key(|(_, count)| *count);
        let site = most.map(|(site, _)| site).unwrap_or_default();
        let old = store.iter_any().find(|cookie| cookie.is_expired());
        // They are kept in the order in which they were set.
        let oldest = || {
            store
                .iter_any()
                .find(|cookie| String::from(&cookie.domain) == site)
        };
        let Some((domain, path, name)) = old.or_else(oldest).map(key) else {
            return;
        };
        if store.remove(&domain, &path, &name).is_none() {
            return;
        }
    }
}

/// The target of a request, as its first line has it.
fn target(request: &[u8]) -> Option<&str> {
    let line = request.split(|b| *b == b'\r').next()?;
    std::str::from_utf8(line).ok()?.split(' ').nth(1)
}

/// The address that a request asks for.
fn address<'a>(last: &'a mut Option<Asked>, origin: &Origin, target: &str) -> Option<&'a Url> {
    let is_it = |asked: &Asked| {
        asked.target == target && asked.authority == origin.authority && asked.tls == origin.tls
    };
    if !last.as_ref().is_some_and(is_it) {
        *last = Some(Asked {
            authority: origin.authority.clone(),
            tls: origin.tls,
            target: target.to_owned(),
            url: Url::parse(&format!("{origin}{target}")).ok()?,
        });
    }
    last.as_ref().map(|asked| &asked.url)
}

/// A request's head, and where in it cookies stand.
struct Head<'a> {
    request: &'a [u8],
    /// Where the line of its own cookies stands, without its end.
    own: Option<Range<usize>>,
    /// Where the last line ends.
    end: usize,
}

impl<'a> Head<'a> {
    const FIELD: &'static [u8] = b"cookie:";

    /// `None` when the head has no end.
    fn of(request: &'a [u8]) -> Option<Self> {
        let (mut own, mut from) = (None, 0);
        loop {
            let length = request[from..].iter().position(|b| *b == b'\r')?;
            let line = &request[from..from + length];
            if line.is_empty() {
                let end = from.checked_sub(2)?;
                return Some(Self { request, own, end });
            }
            let field = line.get(..Self::FIELD.len());
            if own.is_none() && field.is_some_and(|f| f.eq_ignore_ascii_case(Self::FIELD)) {
                own = Some(from..from + length);
            }
            from += length + 2;
        }
    }

    /// Whether it sends a cookie of this name by itself.
    fn names(&self, wanted: &str) -> bool {
        let own = self.own.clone().map(|line| &self.request[line]);
        let pairs = own.map_or(&[][..], |line| &line[Self::FIELD.len()..]);
        let name = |pair: &'a [u8]| pair.split(|b| *b == b'=').next().map(<[u8]>::trim_ascii);
        let mut names = pairs.split(|b| *b == b';').filter_map(name);
        names.any(|name| name == wanted.as_bytes())
    }

    /// The request with these cookies: behind its own, or in a line at the end.
    fn with(&self, cookies: &[&Cookie<'static>]) -> Vec<u8> {
        let length: usize = (cookies.iter())
            .map(|cookie| cookie.name().len() + cookie.value().len() + 3)
            .sum();
        let mut out = Vec::with_capacity(self.request.len() + length + 10);
        let at = self.own.as_ref().map_or(self.end, |own| own.end);
        out.extend_from_slice(&self.request[..at]);
        let mut before: &[u8] = match self.own {
            Some(_) => b"; ",
            None => b"\r\ncookie: ",
        };
        for cookie in cookies {
            for part in [
                before,
                cookie.name().as_bytes(),
                b"=",
                cookie.value().as_bytes(),
            ] {
                out.extend_from_slice(part);
            }
            before = b"; ";
        }
        out.extend_from_slice(&self.request[at..]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(authority: &str) -> Origin {
        let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
        Origin {
            tls: false,
            host: host.to_owned(),
            port: port.parse().unwrap(),
            authority: authority.to_owned(),
        }
    }

    fn given(set: &[&str]) -> HeaderMap {
        let all = set.iter().map(|v| (SET_COOKIE, v.parse().unwrap()));
        all.collect()
    }

    fn sent(jar: &mut Jar, from: &Origin, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\nbody");
        let with = jar.add_to(from, request.as_bytes());
        let with = with.map_or(request, |bytes| String::from_utf8(bytes).unwrap());
        assert!(with.ends_with("\r\n\r\nbody"), "{with}");
        let line = with.split("\r\n").find_map(|l| l.strip_prefix("cookie: "));
        let mut all: Vec<&str> = line.unwrap_or_default().split("; ").collect();
        all.sort_unstable();
        all.join("; ")
    }

    const ASKED: &[u8] = b"GET /shop/cart HTTP/1.1\r\n\r\n";

    #[test]
    fn cookies_go_back_to_where_they_came_from() {
        let (here, there) = (origin("127.0.0.1:80"), origin("127.0.0.2:80"));
        let mut jar = Jar::default();
        assert!(!jar.take(&here, ASKED, &HeaderMap::new()));
        assert!(jar.take(
            &here,
            ASKED,
            &given(&[
                "sid=1; HttpOnly",
                "csrf=a b; Path=/",
                "old=1; Max-Age=0",
                "other=1; Domain=example.com"
            ])
        ));
        assert_eq!(sent(&mut jar, &here, "/shop/pay"), "csrf=a b; sid=1");
        // Without a path it is for the folder that was asked in.
        assert_eq!(sent(&mut jar, &here, "/"), "csrf=a b");
        assert_eq!(sent(&mut jar, &there, "/shop/pay"), "");
        assert!(jar.take(&here, ASKED, &given(&["sid=2", "csrf=; Max-Age=0; Path=/"])));
        assert_eq!(sent(&mut jar, &here, "/shop/pay"), "sid=2");
        jar.clear();
        assert_eq!(sent(&mut jar, &here, "/shop/pay"), "");
    }

    #[test]
    fn a_cookie_that_the_profile_sends_stays_as_it_is() {
        let here = origin("127.0.0.1");
        let mut jar = Jar::default();
        jar.take(&here, ASKED, &given(&["sid=1; Path=/", "b=2; Path=/"]));
        let request = b"GET / HTTP/1.1\r\nCookie: sid=mine\r\nhost: x\r\n\r\n";
        let with = String::from_utf8(jar.add_to(&here, request).unwrap()).unwrap();
        assert_eq!(
            with,
            "GET / HTTP/1.1\r\nCookie: sid=mine; b=2\r\nhost: x\r\n\r\n"
        );
    }

    #[test]
    fn a_hostile_server_does_not_fill_the_memory() {
        let here = origin("127.0.0.1");
        let mut jar = Jar::default();
        for n in 0..10 * MOST {
            jar.take(&here, ASKED, &given(&[&format!("c{n}=x; Path=/")]));
        }
        let long = format!("long={}; Path=/", "x".repeat(LONGEST));
        jar.take(&here, ASKED, &given(&[&long]));
        assert_eq!(sent(&mut jar, &here, "/").split("; ").count(), MOST);
        // The oldest made room, as in a browser, and what is known may still change.
        let (first, last) = (9 * MOST, 10 * MOST - 1);
        let kept = sent(&mut jar, &here, "/");
        assert!(kept.contains(&format!("c{first}=x")) && kept.contains(&format!("c{last}=x")));
        assert!(!kept.contains(&format!("c{}=x", first - 1)), "{kept}");
        jar.take(&here, ASKED, &given(&[&format!("c{last}=y; Path=/")]));
        assert!(sent(&mut jar, &here, "/").contains(&format!("c{last}=y")));
        // Another site's few stay.
        let there = origin("127.0.0.2");
        jar.take(&there, ASKED, &given(&["mine=1; Path=/"]));
        for n in 0..MOST {
            jar.take(&here, ASKED, &given(&[&format!("d{n}=x; Path=/")]));
        }
        assert_eq!(sent(&mut jar, &there, "/"), "mine=1");
    }
}
