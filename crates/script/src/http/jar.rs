//! Cookies of a virtual user.

use std::collections::HashMap;
use std::rc::Rc;

use cookie_store::{CookieStore, RawCookie};
use rquickjs::{Array, Ctx, Exception, Function, Object, Result};
use url::Url;

use crate::host::Host;

/// The most jars that a script may have at a time.
const MOST_JARS: usize = 10_000;

/// The most cookies of a jar, and the longest of them with its attributes, bytes.
const MOST_COOKIES: usize = 1_000;
const LONGEST_COOKIE: usize = 16 * 1024;

/// The jars of a virtual user; its own is 0.
#[derive(Debug, Default)]
pub(crate) struct Jars {
    jars: HashMap<u32, CookieStore>,
    last: u32,
}

impl Jars {
    /// The VU's own jar is empty again.
    pub(crate) fn clear(&mut self) {
        self.jars.remove(&0);
    }

    /// Calls for each cookie that goes to an address.
    pub(super) fn each(&self, jar: u32, url: &Url, mut each: impl FnMut(&str, &str)) {
        if let Some(jar) = self.jars.get(&jar) {
            for (name, value) in jar.get_request_values(url) {
                each(name, value);
            }
        }
    }

    /// Keeps what an answer sets.
    pub(super) fn keep(&mut self, jar: u32, url: &Url, headers: &[(String, String)]) {
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("set-cookie") {
                self.set(jar, url, value);
            }
        }
    }

    /// Keeps a cookie, written as in a header.
    fn set(&mut self, jar: u32, url: &Url, cookie: &str) {
        let jar = self.jars.entry(jar).or_default();
        // As browsers do, more generously.
        if cookie.len() > LONGEST_COOKIE || jar.iter_any().nth(MOST_COOKIES - 1).is_some() {
            return;
        }
        if let Ok(cookie) = RawCookie::parse(cookie) {
            // One that is not for this address, as browsers do.
            let _refused = jar.insert_raw(&cookie, url);
        }
    }
}

/// Host functions for `CookieJar`.
pub(super) fn install<'js>(ctx: &Ctx<'js>, host: &Rc<Host>, to: &Object<'js>) -> Result<()> {
    let own = Rc::clone(host);
    let new = move |ctx: Ctx<'js>| -> Result<u32> {
        let mut jars = own.jars.borrow_mut();
        if jars.jars.len() >= MOST_JARS {
            let words = format!("there are {MOST_JARS} cookie jars already");
            return Err(Exception::throw_range(&ctx, &words));
        }
        jars.last += 1;
        let last = jars.last;
        jars.jars.insert(last, CookieStore::default());
        Ok(last)
    };
    to.set("newJar", Function::new(ctx.clone(), new)?)?;

    let own = Rc::clone(host);
    let drop = move |jar: u32| {
        if jar != 0 {
            own.jars.borrow_mut().jars.remove(&jar);
        }
    };
    to.set("dropJar", Function::new(ctx.clone(), drop)?)?;

    let own = Rc::clone(host);
    let set = move |ctx: Ctx<'js>, jar: u32, url: String, cookie: String| -> Result<()> {
        own.jars
            .borrow_mut()
            .set(jar, &address(&ctx, &url)?, &cookie);
        Ok(())
    };
    to.set("setCookie", Function::new(ctx.clone(), set)?)?;

    let own = Rc::clone(host);
    let get = move |ctx: Ctx<'js>, jar: u32, url: String| -> Result<Array<'js>> {
        let url = address(&ctx, &url)?;
        let all = Array::new(ctx.clone())?;
        let mut pairs = Vec::new();
        let jars = own.jars.borrow();
        jars.each(jar, &url, |name, value| {
            pairs.push((name.to_owned(), value.to_owned()));
        });
        for (index, (name, value)) in pairs.into_iter().enumerate() {
            all.set(index * 2, name)?;
            all.set(index * 2 + 1, value)?;
        }
        Ok(all)
    };
    to.set("cookies", Function::new(ctx.clone(), get)?)?;

    let own = Rc::clone(host);
    let remove = move |ctx: Ctx<'js>, jar: u32, url: String, name: Option<String>| -> Result<()> {
        let url = address(&ctx, &url)?;
        let mut jars = own.jars.borrow_mut();
        if let Some(jar) = jars.jars.get_mut(&jar) {
            let gone: Vec<(String, String, String)> = jar
                .matches(&url)
                .into_iter()
                .filter(|cookie| name.as_ref().is_none_or(|name| cookie.name() == name))
                .map(|cookie| {
                    let domain = String::from(&cookie.domain);
                    (domain, String::from(&cookie.path), cookie.name().to_owned())
                })
                .collect();
            for (domain, path, name) in gone {
                jar.remove(&domain, &path, &name);
            }
        }
        Ok(())
    };
    to.set("removeCookies", Function::new(ctx.clone(), remove)?)
}

fn address(ctx: &Ctx<'_>, text: &str) -> Result<Url> {
    Url::parse(text).map_err(|error| {
        Exception::throw_type(ctx, &format!("`{text}` is not an absolute URL: {error}"))
    })
}
