//! What a certificate says of itself (X.509, RFC 5280): as much of it as tells why it is not
//! accepted. Pure; reads anything.

use core::net::{Ipv4Addr, Ipv6Addr};

/// Tags of DER that are met here.
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]` and `[3]` of a certificate: its version and its extensions.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// `dNSName` and `iPAddress` of an alternative name.
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
/// `2.5.4.3`, the common name.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// `1.2.840.113549.1.1.1`, a key of RSA.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// `2.5.29.17`, the alternative names of the subject.
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// The parts of a certificate that a person is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    /// Seconds since 1970.
    pub(super) not_before: i64,
    /// The same.
    pub(super) not_after: i64,
    /// Bits of its key, where that is one of RSA.
    pub(super) rsa_bits: Option<usize>,
    /// Hosts and addresses that it is for; `None` where it has no such list.
    pub(super) names: Option<Vec<String>>,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate; `None` where it is none.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let whole = Reader(der).expect(SEQUENCE)?;
        let mut fields = Reader(Reader(whole).expect(SEQUENCE)?);
        if fields.peek() == Some(VERSION) {
            fields.next()?;
        }
        // Serial number and algorithm.
        fields.next()?;
        fields.next()?;
        let issuer = fields.expect(SEQUENCE)?;
        let mut validity = Reader(fields.expect(SEQUENCE)?);
        let subject = fields.expect(SEQUENCE)?;
        let (not_before, not_after) = (time(validity.next()?)?, time(validity.next()?)?);
        let rsa_bits = rsa_bits(fields.expect(SEQUENCE)?);
        // Whatever comes before the extensions.
        let mut names = None;
        while let Some((tag, value)) = fields.next() {
            if tag == EXTENSIONS {
                names = alternative_names(value);
            }
        }
        Some(Self {
            issuer,
            subject,
            not_before,
            not_after,
            rsa_bits,
            names,
        })
    }

    /// Whether it was issued by whom it is for.
    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Whether another may have issued it, by their names.
    pub(super) fn is_issued_by(&self, other: &Certificate<'_>) -> bool {
        self.issuer == other.subject
    }

    /// The common name of whom it is for.
    pub(super) fn common_name(&self) -> Option<&'a str> {
        common_name(self.subject)
    }

    /// The common name of who issued it.
    pub(super) fn issuer_name(&self) -> Option<&'a str> {
        common_name(self.issuer)
    }
}

/// Bits of the modulus of a public key of RSA (RFC 8017, appendix A.1.1).
fn rsa_bits(key: &[u8]) -> Option<usize> {
    let mut parts = Reader(key);
    let algorithm = Reader(parts.expect(SEQUENCE)?).expect(OID)?;
    // The first byte says how many bits of the last one do not count.
    let (_, numbers) = parts.expect(BIT_STRING)?.split_first()?;
    let modulus = Reader(Reader(numbers).expect(SEQUENCE)?).expect(INTEGER)?;
    let zeros = modulus.iter().take_while(|b| **b == 0).count();
    let first = modulus.get(zeros)?;
    let bits = (modulus.len() - zeros) * 8 - first.leading_zeros() as usize;
    (algorithm == RSA).then_some(bits)
}

/// The last common name of a distinguished name, as OpenSSL takes it.
fn common_name(name: &[u8]) -> Option<&str> {
    let mut sets = Reader(name);
    let mut found = None;
    while let Some((tag, set)) = sets.next() {
        if tag != SET {
            continue;
        }
        let mut pair = Reader(Reader(set).expect(SEQUENCE)?);
        if pair.expect(OID)? == COMMON_NAME {
            found = std::str::from_utf8(pair.next()?.1).ok();
        }
    }
    found
}

fn alternative_names(extensions: &[u8]) -> Option<Vec<String>> {
    let mut all = Reader(Reader(extensions).expect(SEQUENCE)?);
    while let Some((SEQUENCE, extension)) = all.next() {
        let mut parts = Reader(extension);
        if parts.expect(OID)? != ALTERNATIVE_NAMES {
            continue;
        }
        // Whether it is critical may stand between.
        let mut value = parts.next()?.1;
        while let Some((_, next)) = parts.next() {
            value = next;
        }
        let mut names = Reader(Reader(value).expect(SEQUENCE)?);
        let mut found = Vec::new();
        while let Some((tag, value)) = names.next() {
            found.extend(alternative_name(tag, value));
        }
        return Some(found);
    }
    None
}

fn alternative_name(tag: u8, value: &[u8]) -> Option<String> {
    match tag {
        DNS_NAME => std::str::from_utf8(value).ok().map(str::to_owned),
        IP_ADDRESS => {
            let v4 = <[u8; 4]>::try_from(value).map(|b| Ipv4Addr::from(b).to_string());
            let v6 = <[u8; 16]>::try_from(value).map(|b| Ipv6Addr::from(b).to_string());
            v4.or(v6).ok()
        }
        _ => None,
    }
}

/// Seconds since 1970 of a time (RFC 5280, section 4.1.2.5), which always ends in `Z`.
fn time((tag, text): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match tag {
        UTC_TIME => {
            let year: i64 = text.get(..2)?.parse().ok()?;
            (
                if year < 50 { 2000 + year } else { 1900 + year },
                &text[2..],
            )
        }
        GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, &text[4..]),
        _ => return None,
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let days = days_since_1970(year, two(0)?, two(2)?);
    Some(((days * 24 + two(4)?) * 60 + two(6)?) * 60 + two(8)?)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (Hinnant, "chrono-compatible low-level
/// date algorithms").
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Values of DER one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Tag and content of the next value.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // No certificate is longer than what three bytes can say.
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b));
                (length, rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    /// Content of the next value, which must have this tag.
    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(t, _)| *t == tag).map(|(_, v)| v)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn made(names: &[&str], common_name: &str) -> Vec<u8> {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params.not_before = rcgen::date_time_ymd(2001, 2, 28);
        params.not_after = rcgen::date_time_ymd(2096, 2, 29);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_says_whom_it_is_for_and_how_long() {
        let der = made(&["a.test", "127.0.0.1", "::1"], "a name");
        let read = Certificate::read(&der).unwrap();
        assert_eq!(read.common_name(), Some("a name"));
        assert_eq!(read.issuer_name(), Some("a name"));
        assert!(read.is_self_issued());
        let names = ["a.test", "127.0.0.1", "::1"].map(str::to_owned);
        assert_eq!(read.names, Some(names.to_vec()));
        // `date -u -d 2001-02-28 +%s`, and of 2096-02-29.
        assert_eq!(
            (read.not_before, read.not_after),
            (983_318_400, 3_981_312_000)
        );
        assert_eq!(Certificate::read(&made(&[], "x")).unwrap().names, None);
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_panic(at in 0usize..600, byte: u8, cut in 0usize..600) {
            let mut der = made(&["a.test"], "x");
            if let Some(b) = der.get_mut(at) {
                *b = byte;
            }
            der.truncate(cut);
            let _ = Certificate::read(&der).map(|c| c.common_name().map(str::len));
        }
    }
}
