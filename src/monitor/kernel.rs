//! What the kernel tells in `/proc` of a network, of memory and of pressure. Parsers of its texts.

use super::Sample;
use super::counter::{Counter, float};

/// A value in a file of pairs of lines, `TcpExt: Name Other` over `TcpExt: 1 2`, as
/// `/proc/net/netstat` and `snmp` are.
pub(super) fn in_pairs(text: &str, protocol: &str, name: &str) -> Option<u64> {
    let mut lines = text
        .lines()
        .filter_map(|l| l.strip_prefix(protocol)?.strip_prefix(':'));
    let at = lines
        .next()?
        .split_ascii_whitespace()
        .position(|n| n == name)?;
    lines.next()?.split_ascii_whitespace().nth(at)?.parse().ok()
}

/// A value in a line of names and values, `TCP: inuse 5 orphan 0 tw 3`, as `/proc/net/sockstat`
/// has.
pub(super) fn in_line(text: &str, start: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(start))?;
    let mut words = line.split_ascii_whitespace().skip_while(|w| *w != name);
    words.nth(1)?.parse().ok()
}

/// A value in lines of `key value` or `key: value kB`, the number as it stands.
pub(super) fn value_of(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let found = words.next()?.trim_end_matches(':') == key;
        found.then(|| words.next()?.parse().ok())?
    })
}

/// The share of the last ten seconds in which something waited: `some avg10=12.34 avg60=...` of a
/// pressure file.
pub(super) fn pressure(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|l| l.strip_prefix("some "))?;
    let percent = some
        .split_ascii_whitespace()
        .find_map(|w| w.strip_prefix("avg10="))?;
    Some(percent.parse::<f64>().ok()? / 100.0)
}

/// TCP's troubles in one network namespace, counted from the first look.
#[derive(Debug, Default)]
pub(super) struct TcpTroubles {
    overflows: Counter,
    drops: Counter,
    retransmits: Counter,
}

impl TcpTroubles {
    /// Adds to `sample` what the files in a folder (`/proc/net`, `/proc/PID/net`) say.
    pub(super) fn add(&mut self, sample: &mut Sample, folder: &str, source: &str) {
        let read = |file: &str| std::fs::read_to_string(format!("{folder}/{file}")).ok();
        let netstat = read("netstat").unwrap_or_default();
        let snmp = read("snmp").unwrap_or_default();
        let tcp_ext = |name| in_pairs(&netstat, "TcpExt", name);
        for (field, counter, now) in [
            (
                "listen_overflows",
                &mut self.overflows,
                tcp_ext("ListenOverflows"),
            ),
            ("listen_drops", &mut self.drops, tcp_ext("ListenDrops")),
            (
                "retransmits",
                &mut self.retransmits,
                in_pairs(&snmp, "Tcp", "RetransSegs"),
            ),
        ] {
            sample.put(field, now.map(|n| counter.update(source, float(n))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Recorded from Linux 6.18, shortened.
    const NETSTAT: &str = "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPHPHits\n\
        TcpExt: 0 42872 42873 77\nIpExt: InNoRoutes ListenDrops\nIpExt: 0 5\n";
    const SNMP: &str = "Ip: Forwarding DefaultTTL\nIp: 1 64\n\
        Tcp: RtoAlgorithm MaxConn ActiveOpens RetransSegs InErrs\nTcp: 1 -1 120 31 0\n";
    const SOCKSTAT: &str = "sockets: used 187\nTCP: inuse 25 orphan 0 tw 1604 alloc 31 mem 5\n\
        UDP: inuse 1 mem 0\n";
    const MEMINFO: &str =
        "MemTotal:       24689412 kB\nMemFree:         1000 kB\nMemAvailable:   20480 kB\n";
    const VMSTAT: &str = "nr_free_pages 250\npswpin 3\npswpout 44\n";
    const PRESSURE: &str = "some avg10=12.50 avg60=9.00 avg300=7.10 total=99\nfull avg10=0.00 \
        avg60=0.00 avg300=0.00 total=0\n";

    #[test]
    fn the_kernels_texts_are_read() {
        assert_eq!(in_pairs(NETSTAT, "TcpExt", "ListenOverflows"), Some(42872));
        assert_eq!(in_pairs(NETSTAT, "TcpExt", "ListenDrops"), Some(42873));
        assert_eq!(in_pairs(SNMP, "Tcp", "RetransSegs"), Some(31));
        assert_eq!(in_pairs(SNMP, "Tcp", "NoSuch"), None);
        assert_eq!(in_pairs("", "Tcp", "RetransSegs"), None);
        assert_eq!(in_line(SOCKSTAT, "TCP:", "tw"), Some(1604));
        assert_eq!(in_line(SOCKSTAT, "UDP:", "tw"), None);
        assert_eq!(value_of(MEMINFO, "MemAvailable"), Some(20480));
        assert_eq!(value_of(VMSTAT, "pswpout"), Some(44));
        assert_eq!(value_of(VMSTAT, "pswp"), None);
        assert_eq!(pressure(PRESSURE), Some(0.125));
        assert_eq!(pressure("full avg10=1.00"), None);
    }
}
