//! `URL` and `URLSearchParams`, as the WHATWG has them.

use rquickjs::function::Opt;
use rquickjs::{Ctx, Exception, Function, Object, Result};
use url::{Url, form_urlencoded, quirks};

#[cfg(test)]
mod tests;

/// The longest address or query, bytes.
const MAX_TEXT: usize = 4 << 20;

fn short<'js>(ctx: &Ctx<'js>, text: &str) -> Result<()> {
    if text.len() > MAX_TEXT {
        return Err(Exception::throw_range(
            ctx,
            "the address has more than 4 MiB",
        ));
    }
    Ok(())
}

/// The whole address, if it is one.
fn parse<'js>(ctx: Ctx<'js>, text: String, base: Opt<Option<String>>) -> Result<Option<String>> {
    short(&ctx, &text)?;
    let url = match base.0.flatten() {
        Some(base) => {
            short(&ctx, &base)?;
            Url::parse(&base)
                .ok()
                .and_then(|base| base.join(&text).ok())
        }
        None => Url::parse(&text).ok(),
    };
    Ok(url.map(Into::into))
}

/// A part of an address.
fn part<'js>(ctx: Ctx<'js>, address: String, name: String) -> Result<String> {
    let Ok(url) = Url::parse(&address) else {
        return Err(Exception::throw_type(
            &ctx,
            "the address is not one any more",
        ));
    };
    Ok(match &*name {
        "origin" => quirks::origin(&url),
        "protocol" => quirks::protocol(&url).to_owned(),
        "username" => quirks::username(&url).to_owned(),
        "password" => quirks::password(&url).to_owned(),
        "host" => quirks::host(&url).to_owned(),
        "hostname" => quirks::hostname(&url).to_owned(),
        "port" => quirks::port(&url).to_owned(),
        "pathname" => quirks::pathname(&url).to_owned(),
        "search" => quirks::search(&url).to_owned(),
        "hash" => quirks::hash(&url).to_owned(),
        _ => String::new(),
    })
}

/// The address with another part. What cannot be the part leaves it as it is.
fn with<'js>(ctx: Ctx<'js>, address: String, name: String, value: String) -> Result<String> {
    short(&ctx, &value)?;
    let Ok(mut url) = Url::parse(&address) else {
        return Err(Exception::throw_type(
            &ctx,
            "the address is not one any more",
        ));
    };
    let _left_as_it_is = match &*name {
        "protocol" => quirks::set_protocol(&mut url, &value),
        "username" => quirks::set_username(&mut url, &value),
        "password" => quirks::set_password(&mut url, &value),
        "host" => quirks::set_host(&mut url, &value),
        "hostname" => quirks::set_hostname(&mut url, &value),
        "port" => quirks::set_port(&mut url, &value),
        "pathname" => {
            quirks::set_pathname(&mut url, &value);
            Ok(())
        }
        "search" => {
            quirks::set_search(&mut url, &value);
            Ok(())
        }
        "hash" => {
            quirks::set_hash(&mut url, &value);
            Ok(())
        }
        _ => Err(()),
    };
    Ok(url.into())
}

/// The names and values of a query.
fn read<'js>(ctx: Ctx<'js>, query: String) -> Result<Vec<Vec<String>>> {
    short(&ctx, &query)?;
    let pairs = form_urlencoded::parse(query.as_bytes());
    Ok(pairs
        .map(|(name, value)| vec![name.into_owned(), value.into_owned()])
        .collect())
}

/// The query of names and values.
fn written(pairs: Vec<Vec<String>>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for pair in &pairs {
        if let [name, value] = &pair[..] {
            query.append_pair(name, value);
        }
    }
    query.finish()
}

/// `URL` and `URLSearchParams`.
pub(crate) fn install_address<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let native = Object::new(ctx.clone())?;
    native.set("parse", Function::new(ctx.clone(), parse)?)?;
    native.set("part", Function::new(ctx.clone(), part)?)?;
    native.set("with", Function::new(ctx.clone(), with)?)?;
    native.set("read", Function::new(ctx.clone(), read)?)?;
    native.set("written", Function::new(ctx.clone(), written)?)?;
    let make: Function = ctx.eval(include_str!("js/address.js"))?;
    make.call((native,))
}
