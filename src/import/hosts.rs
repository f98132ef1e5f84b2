//! Whom the calls may reach: this machine, and hosts that were allowed. All others are left out and
//! listed.

use core::net::IpAddr;
use std::collections::BTreeMap;

use super::call::{Call, split};
use super::{ImportError, Reading, Wishes};

/// Hosts that one line lists.
const MOST_NAMED: usize = 12;

/// Leaves out what goes elsewhere. With `--url` the calls to the host that has most of them go
/// there, unless they do already.
pub(super) fn choose(
    reading: &mut Reading,
    wishes: &Wishes,
    rebased: bool,
) -> Result<(), ImportError> {
    if let Some(url) = wishes.url.as_ref().filter(|_| !rebased) {
        rebase(&mut reading.calls, url)?;
    }
    let mut elsewhere: BTreeMap<String, usize> = BTreeMap::new();
    reading.calls.retain(|call| {
        let host = host_of(&call.origin);
        let keep = is_here(host) || wishes.allowed.iter().any(|h| h.eq_ignore_ascii_case(host));
        if !keep {
            *elsewhere.entry(host.to_owned()).or_default() += 1;
        }
        keep
    });
    if elsewhere.is_empty() {
        return Ok(());
    }
    let count: usize = elsewhere.values().sum();
    let mut named: Vec<&str> = elsewhere.keys().map(String::as_str).collect();
    let first = named.first().copied().unwrap_or_default().to_owned();
    let more = named.len().saturating_sub(MOST_NAMED);
    named.truncate(MOST_NAMED);
    let mut hosts = named.join(", ");
    if more > 0 {
        hosts = format!("{hosts} and {more} more");
    }
    if reading.calls.is_empty() {
        return Err(ImportError::new(format!(
            "all {count} requests go to hosts that are not this machine ({hosts}); add `--url \
             http://127.0.0.1:PORT` to send them to a service on this machine, or `--allow-target \
             {first}` if you are allowed to load it"
        )));
    }
    reading.tell(format!(
        "left out: {count} requests to hosts that are not this machine: {hosts} (--allow-target \
         HOST takes them in, if you are allowed to load it)"
    ));
    Ok(())
}

/// Sends the calls of the host that has most of them to another one.
fn rebase(calls: &mut [Call], url: &str) -> Result<(), ImportError> {
    let (to, base, _) = split(url).map_err(|why| ImportError::new(format!("--url: {why}")))?;
    let base = base.trim_end_matches('/').to_owned();
    let from = most(calls);
    for call in calls.iter_mut().filter(|c| c.origin == from) {
        call.origin.clone_from(&to);
        call.path = format!("{base}{}", call.path);
        // Who asks for a page says where from.
        for (name, value) in &mut call.headers {
            if ["origin", "referer"].contains(&name.as_str()) {
                *value = value.replacen(&from, &to, 1);
            }
        }
    }
    Ok(())
}

/// The origin of most calls; of several the first.
pub(super) fn most(calls: &[Call]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for call in calls {
        match counts.iter_mut().find(|(origin, _)| *origin == call.origin) {
            Some((_, count)) => *count += 1,
            None => counts.push((&call.origin, 1)),
        }
    }
    let most = counts.iter().rev().max_by_key(|(_, count)| *count);
    most.map_or_else(String::new, |(origin, _)| (*origin).to_owned())
}

/// The host of an origin, IPv6 without brackets.
pub(super) fn host_of(origin: &str) -> &str {
    let rest = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    match rest.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        None => rest.split(':').next().unwrap_or_default(),
    }
}

/// Whether a host is this machine whatever a name server says; the addresses of all are checked
/// once more before the first load.
pub(super) fn is_here(host: &str) -> bool {
    let loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(loopback)
}
