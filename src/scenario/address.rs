//! Addresses as people write them, made into what a request can have: capitals in the scheme,
//! spaces and letters beyond ASCII.

/// The scheme in small letters, and what no request line can have percent-encoded (RFC 3986,
/// section 2.1); what stands in `{{ }}` stays.
///
/// # Errors
/// Where a host cannot be connected to as it is written; says what to write.
pub fn normal(address: &str) -> Result<String, String> {
    let Some((scheme, rest)) = address.split_once("://") else {
        return Ok(encoded(address));
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    check_host(authority)?;
    check_port(authority)?;
    Ok(format!(
        "{}://{authority}{}",
        scheme.to_ascii_lowercase(),
        encoded(path)
    ))
}

/// Whether a text is an address that is known when an answer has given it.
pub(super) fn is_link(text: &str) -> bool {
    let inside = text.trim_start().strip_prefix("{{");
    inside.is_some_and(|inside| inside.trim_start().starts_with("raw("))
}

/// Whether a text begins with the scheme of an address.
pub(super) fn is_whole(text: &str) -> bool {
    let begins = |scheme: &str| {
        text.get(..scheme.len())
            .is_some_and(|t| t.eq_ignore_ascii_case(scheme))
    };
    begins("http://") || begins("https://")
}

/// Whether what stands behind a host, if anything, is a port that somebody can listen on: clients
/// that cannot read it take the one of the scheme, and the load would go to another service.
///
/// # Errors
/// Says which port is none.
pub fn check_port(authority: &str) -> Result<(), String> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
    let behind = match host.strip_prefix('[') {
        Some(inner) => inner.split_once(']').map_or("", |(_, behind)| behind),
        None => host.find(':').map_or("", |at| &host[at..]),
    };
    if behind.is_empty() || behind.contains("{{") {
        return Ok(());
    }
    let digits = behind.strip_prefix(':').filter(|p| !p.is_empty());
    let digits = digits.filter(|p| p.bytes().all(|b| b.is_ascii_digit()));
    match digits.and_then(|p| p.parse::<u16>().ok()) {
        Some(1..) => Ok(()),
        // It may be a password: one with a sign that ends a host reads like this.
        _ => Err(
            "what follows the host is not a port; a port is a number from 1 to 65535, as in \
             http://127.0.0.1:8080 (in a user name or password `/`, `?` and `#` are written %2F, \
             %3F and %23)"
                .to_owned(),
        ),
    }
}

fn check_host(authority: &str) -> Result<(), String> {
    let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let bare = match host.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let instead = match bare {
        "0.0.0.0" => "127.0.0.1",
        "::" => "[::1]",
        _ if !bare.is_ascii() => {
            return Err(format!(
                "the host `{bare}` is not written in ASCII; write the form that begins with xn-- \
                 (python3 -c 'print(\"{bare}\".encode(\"idna\").decode())')"
            ));
        }
        _ => return Ok(()),
    };
    let written = host.replacen(if instead == "[::1]" { "[::]" } else { bare }, instead, 1);
    Err(format!(
        "`{bare}` is an address to listen on, not to connect to; write `{written}` for this \
         machine"
    ))
}

/// What no request line can have, percent-encoded outside of `{{ }}`.
fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(start) = rest.find("{{") {
        let end = rest[start..]
            .find("}}")
            .map_or(rest.len(), |end| start + end + 2);
        encode_into(&rest[..start], &mut out);
        out.push_str(&rest[start..end]);
        rest = &rest[end..];
    }
    encode_into(rest, &mut out);
    out
}

fn encode_into(text: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for c in text.chars() {
        if c.is_ascii_graphic() {
            out.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_made_what_a_request_can_have() {
        for (written, made) in [
            ("HTTP://127.0.0.1:8080/A", "http://127.0.0.1:8080/A"),
            ("Https://Host/", "https://Host/"),
            (
                "http://h/über uns?q=a b",
                "http://h/%C3%BCber%20uns?q=a%20b",
            ),
            (
                "http://h/{{ vu }}/ü{{ rows.word }} x",
                "http://h/{{ vu }}/%C3%BC{{ rows.word }}%20x",
            ),
            ("/a%20b", "/a%20b"),
            ("/a b", "/a%20b"),
            ("http://[::1]:80", "http://[::1]:80"),
        ] {
            assert_eq!(normal(written).as_deref(), Ok(made));
        }
        assert!(
            is_whole("HTTP://h") && is_whole("https://h") && !is_whole("httpx") && !is_whole("ü")
        );
    }

    #[test]
    fn a_port_that_is_none_is_refused_and_not_taken_for_that_of_the_scheme() {
        for authority in [
            "h:8O80",
            "h:99999",
            "h:65536",
            "h:0",
            "h:",
            "h:+80",
            "h:-1",
            "h:8080x",
            "h:80:81",
            "h: 80",
            "[::1]8080",
            "[::1]:x",
            "[::1]:",
            "[::1]:70000",
            "me:pw@h:x",
            "h:\u{661}",
            "h:0x50",
        ] {
            let error = normal(&format!("http://{authority}/a")).unwrap_err();
            assert!(error.contains("is not a port"), "{authority}: {error}");
        }
        for authority in [
            "h",
            "h:1",
            "h:65535",
            "h:08080",
            "[::1]",
            "[::1]:80",
            "me:pw@h",
            "h:{{ env.PORT }}",
        ] {
            assert_eq!(check_port(authority), Ok(()), "{authority}");
        }
    }

    #[test]
    fn hosts_that_lead_nowhere_say_what_to_write() {
        for (written, instead) in [
            ("http://0.0.0.0:8080/", "write `127.0.0.1:8080`"),
            ("http://[::]:8080", "write `[::1]:8080`"),
            ("http://bücher.test/", "begins with xn--"),
        ] {
            let error = normal(written).unwrap_err();
            assert!(error.contains(instead), "{error}");
        }
    }
}
