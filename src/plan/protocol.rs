//! Which HTTP is spoken, and how many VUs share a connection.

use toml::Spanned;

use super::value::{Flag, Reader};
use super::{EngineFacts, FindFlags, PlanError, TargetKind};
use crate::profile::{Profile, TargetSpec};
use crate::scenario::spec::ConnectionsSpec;
use crate::scenario::{Http, Protocol};

/// Most VUs that share a connection: servers mostly allow 100 to 250 streams at once.
const MOST_STREAMS: i64 = 1000;

pub(super) fn resolve(
    profile: Option<&Profile>,
    flags: &FindFlags,
    reader: &Reader<'_>,
    (target, engine): (&TargetKind, &dyn EngineFacts),
) -> Result<Protocol, PlanError> {
    let empty = TargetSpec::default();
    let spec = profile.and_then(|p| p.target.as_ref());
    let spec = spec.map_or(&empty, Spanned::as_ref);
    let own = spec.http.as_ref().map(Spanned::span);
    let own = own.or_else(|| spec.streams_per_connection.as_ref().map(Spanned::span));
    if let (Some(profile), Some(key), false) = (profile, own, engine.abilities().own_connections) {
        let what = "`http` and `streams-per-connection` are for the native engine";
        let help = "the engine of this profile makes its own connections; remove these keys";
        let error = profile.source.error(Some(key), what);
        return Err(error.with_help(help).into());
    }
    let http = reader.pick(given(flags), spec.http.as_ref(), Http::One, |t| {
        Http::named(t).ok_or_else(|| match t.as_str() {
            "3" => "HTTP/3 is not spoken; use 2 or auto".to_owned(),
            _ => format!("unknown value `{t}`; use 1.1, auto or 2"),
        })
    })?;
    let streams = reader.pick(
        Flag::none(),
        spec.streams_per_connection.as_ref(),
        1,
        |n: &i64| {
            let fits = u32::try_from(*n).ok();
            let fits = fits.filter(|_| (1..=MOST_STREAMS).contains(n));
            fits.ok_or_else(|| format!("{n} is not between 1 and {MOST_STREAMS}"))
        },
    )?;
    if streams.value > 1 && http.value == Http::One {
        let why = "VUs can share a connection only over HTTP/2; add `http = \"2\"` or \
                   `http = \"auto\"` to [target]";
        return Err(reader.blame(&[&streams], why.to_owned()));
    }
    if streams.value > 1 && profile.is_some_and(has_per_cycle) {
        let why = "a connection that VUs share cannot end with the cycle of one of them; remove \
                   `connections = \"per-cycle\"`, or this key";
        return Err(reader.blame(&[&streams], why.to_owned()));
    }
    if flags.http == Some(Http::Auto) && !is_https(target) {
        let why = "an http:// address has no TLS handshake in which the server could choose \
                   HTTP/2; give --http2-prior-knowledge, or an https:// address";
        return Err(reader.blame(&[&http], why.to_owned()));
    }
    Ok(Protocol {
        http: http.value,
        streams_per_connection: streams.value,
    })
}

/// Whether any users of a profile close their connections after each cycle.
fn has_per_cycle(profile: &Profile) -> bool {
    let others = profile.populations.iter().map(|p| &p.as_ref().scenario);
    let mut all = profile.scenario.iter().chain(others);
    all.any(|scenario| scenario.connections == ConnectionsSpec::PerCycle)
}

/// What the flags say.
fn given(flags: &FindFlags) -> Flag<String> {
    let name = flags.http.map_or("--http2", flag);
    Flag(name, flags.http.map(|http| http.name().to_owned()))
}

/// The flag that asks for an HTTP.
pub(super) fn flag(http: Http) -> &'static str {
    match http {
        Http::One | Http::Auto => "--http2",
        Http::Two => "--http2-prior-knowledge",
    }
}

fn is_https(target: &TargetKind) -> bool {
    match target {
        TargetKind::External { url } => url.starts_with("https://"),
        TargetKind::Demo => false,
        TargetKind::OfTheEngine => true,
    }
}
