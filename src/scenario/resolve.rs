//! Where names lead by the user's word, as `--resolve` of curl has it, and how many of a name's
//! addresses are loaded.

use core::net::IpAddr;

/// Addresses that stand in for what a name server would say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolve(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// `None` stands for every host.
    host: Option<String>,
    port: u16,
    addresses: Vec<IpAddr>,
}

impl Resolve {
    /// With another entry.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn with(mut self, text: &str) -> Result<Self, String> {
        self.add(text)?;
        Ok(self)
    }

    /// Adds an entry: `HOST:PORT:ADDRESS[,ADDRESS]`; `*` is every host, and an address of IPv6
    /// stands in brackets.
    ///
    /// # Errors
    /// Says what is wrong and how it is written.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let wrong = || {
            format!(
                "`{text}` is not HOST:PORT:ADDRESS; write it as example.com:443:127.0.0.1 (several \
                 addresses with commas)"
            )
        };
        // curl's `+` has an entry of it time out, which ours never do.
        let bare = text.strip_prefix('+').unwrap_or(text);
        let (host, rest) = split_host(bare).ok_or_else(wrong)?;
        let (port, addresses) = rest.split_once(':').ok_or_else(wrong)?;
        let port = port_number(port).ok_or_else(wrong)?;
        let address = |part: &str| part.trim_matches(['[', ']']).parse::<IpAddr>();
        let addresses: Result<Vec<_>, _> = addresses.split(',').map(address).collect();
        let addresses = addresses.map_err(|_| wrong())?;
        self.0.push(Entry {
            host: (host != "*").then(|| host.to_ascii_lowercase()),
            port,
            addresses,
        });
        Ok(())
    }

    /// The addresses that were given for a host and a port; the last entry counts, as with curl.
    pub fn of(&self, host: &str, port: u16) -> Option<&[IpAddr]> {
        let fits = |e: &&Entry| {
            e.port == port && e.host.as_ref().is_none_or(|h| h.eq_ignore_ascii_case(host))
        };
        self.0
            .iter()
            .rev()
            .find(fits)
            .map(|e| e.addresses.as_slice())
    }

    /// Every entry with a name: host, port and addresses.
    pub fn named(&self) -> impl Iterator<Item = (&str, u16, &[IpAddr])> {
        let entries = self.0.iter();
        entries.filter_map(|e| Some((e.host.as_deref()?, e.port, e.addresses.as_slice())))
    }
}

/// A port that somebody can listen on; Rust would take `+80` for one too.
fn port_number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

/// The host before the first colon that is not within brackets.
fn split_host(text: &str) -> Option<(&str, &str)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']')?;
            (host, rest.strip_prefix(':')?)
        }
        None => text.split_once(':')?,
    };
    (!host.is_empty()).then_some((host, rest))
}

/// How many of a name's addresses are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Addresses {
    /// All of them: VUs take them in turn.
    #[default]
    All,
    /// The first that answers.
    First,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn entries_are_read_as_curl_reads_them() {
        let mut resolve = Resolve::default();
        for text in [
            "Example.com:443:127.0.0.1",
            "+two.test:80:127.0.0.1,[::1],127.0.0.2",
            "*:81:127.0.0.3",
            "[::5]:82:127.0.0.4",
        ] {
            resolve.add(text).unwrap();
        }
        assert_eq!(resolve.of("EXAMPLE.com", 443), Some(&[ip("127.0.0.1")][..]));
        assert_eq!(resolve.of("example.com", 80), None);
        let three = [ip("127.0.0.1"), ip("::1"), ip("127.0.0.2")];
        assert_eq!(resolve.of("two.test", 80), Some(&three[..]));
        assert_eq!(resolve.of("any", 81), Some(&[ip("127.0.0.3")][..]));
        assert_eq!(resolve.of("::5", 82), Some(&[ip("127.0.0.4")][..]));
        resolve.add("example.com:443:127.0.0.9").unwrap();
        assert_eq!(
            resolve.of("example.com", 443),
            Some(&[ip("127.0.0.9")][..]),
            "the last one counts"
        );
        assert_eq!(resolve.named().count(), 4);
    }

    #[test]
    fn what_is_no_entry_says_how_one_is_written() {
        for text in [
            "",
            "example.com",
            "a:443",
            "a:443:b",
            "a:x:127.0.0.1",
            "a:+80:127.0.0.1",
            "a:0:127.0.0.1",
            "a:70000:127.0.0.1",
            ":443:127.0.0.1",
            "[::1:443:127.0.0.1",
        ] {
            let error = Resolve::default().add(text).unwrap_err();
            assert!(error.contains("example.com:443:127.0.0.1"), "{error}");
        }
    }
}
