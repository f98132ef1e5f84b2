//! What leaves this machine beside the load: whom monitors, the page of an engine and
//! `--remote-write` ask, who must be this machine or be allowed as a target must, and which secrets
//! go to anybody else, to which whoever runs the profile agrees once per content.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use reqwest::Url;

use super::agreement::{ConsentRequest, mark};
use super::{CommandError, Exit, secrets};
use crate::excerpt;
use crate::plan::{ConnectPlan, Plan, ScenarioSource, TargetKind};
use crate::scenario::spec::{ScenarioSpec, StepSpec};
use crate::scenario::websocket::SendSpec;
use crate::scenario::{Allowed, Resolve};
use crate::secret::{self, Lookup, masked};

/// The port of a Redis server whose address has none.
const REDIS: u16 = 6379;

/// A secret that goes to somebody else than this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Leaving {
    /// Where it is from: "environment variable `X`".
    secret: String,
    /// Where it goes.
    to: String,
}

impl Leaving {
    /// As one line.
    pub(super) fn line(&self) -> String {
        excerpt::visible(&format!("{} to {}", self.secret, self.to)).replace('\n', " ")
    }
}

/// Somebody who is asked something beside the load.
struct Visited<'a> {
    /// "the monitor `cache`".
    who: String,
    /// As it is written, with its placeholders.
    address: &'a str,
    /// What else is sent.
    beside: Vec<&'a str>,
    connect: &'a ConnectPlan,
}

fn asked(plan: &Plan) -> Vec<Visited<'_>> {
    let monitors = plan.monitors.iter().filter_map(|monitor| {
        Some(Visited {
            who: format!("the monitor `{}`", monitor.name),
            address: monitor.source.address()?,
            beside: Vec::new(),
            connect: &monitor.connect,
        })
    });
    let page = plan.engine.facts().page().map(|page| Visited {
        who: format!("the page of {}", page.of),
        address: page.url,
        beside: page.headers.iter().map(|(_, v)| v.as_str()).collect(),
        connect: page.connect,
    });
    monitors.chain(page).collect()
}

/// Checks that everybody who is asked is this machine or was allowed. The addresses have their
/// secrets; nothing was sent before.
pub(super) fn check(plan: &Plan) -> Result<(), CommandError> {
    for asked in asked(plan) {
        let connect = asked.connect;
        check_one(
            &asked.who,
            asked.address,
            &connect.resolve,
            &connect.allowed,
        )?;
    }
    Ok(())
}

/// Those of them who are not this machine, for whoever is told of the first contact.
pub(super) fn strangers(plan: &Plan) -> Vec<String> {
    let all = asked(plan).into_iter().filter(|a| !is_path(a.address));
    let strangers = all.filter_map(|asked| {
        let url = Url::parse(asked.address).ok()?;
        let (host, port) = place(&url)?;
        let addresses = leads_to(&host, port, &asked.connect.resolve);
        let nobody = Allowed::default();
        let is_here = addresses.iter().all(|a| nobody.permits(&host, *a));
        let shown = excerpt::line(&masked(asked.address));
        (!is_here).then(|| format!("{shown} ({})", asked.who))
    });
    strangers.collect()
}

/// The same of the server of `--remote-write`.
pub(super) fn check_remote_write(address: &str, allowed: &Allowed) -> Result<(), CommandError> {
    check_one("--remote-write", address, &Resolve::default(), allowed)
}

fn check_one(
    who: &str,
    address: &str,
    resolve: &Resolve,
    allowed: &Allowed,
) -> Result<(), CommandError> {
    let usage = |why: String| CommandError::new(Exit::Usage, why);
    if is_path(address) {
        return Ok(());
    }
    let shown = masked(address);
    let wrong =
        |why: &dyn std::fmt::Display| usage(format!("{who} {shown}: not a valid address: {why}"));
    let url = Url::parse(address).map_err(|e| wrong(&e))?;
    let Some((host, port)) = place(&url) else {
        return Err(wrong(&"it has no host"));
    };
    if url.port() == Some(0) {
        return Err(wrong(&"port 0 is not valid"));
    }
    if allowed.names(&host) {
        return Ok(());
    }
    let addresses = leads_to(&host, port, resolve);
    match addresses.iter().find(|a| !allowed.permits(&host, **a)) {
        None => Ok(()),
        Some(address) => Err(usage(format!(
            "{who} would connect to {host}{}, which is not this machine. If you are allowed to use \
             it, add `--allow-target {host}`, or `allow = [\"{host}\"]` in the profile's \
             [target]. Nothing was sent",
            if host == address.to_string() {
                String::new()
            } else {
                format!(" ({address})")
            }
        ))),
    }
}

/// Whether an address is that of a socket in the file system.
fn is_path(address: &str) -> bool {
    ["unix://", "redis+unix://"]
        .iter()
        .any(|s| address.starts_with(s))
}

/// Host, IPv6 without brackets, and port.
fn place(url: &Url) -> Option<(String, u16)> {
    let host = url.host_str().filter(|h| !h.is_empty())?;
    let port = url.port_or_known_default().unwrap_or(REDIS);
    Some((host.trim_matches(['[', ']']).to_owned(), port))
}

fn leads_to(host: &str, port: u16, resolve: &Resolve) -> Vec<IpAddr> {
    if let Some(given) = resolve.of(host, port) {
        return given.to_vec();
    }
    let found = (host, port).to_socket_addrs();
    found.into_iter().flatten().map(|a| a.ip()).collect()
}

/// Which secrets of a plan, whose placeholders are not filled in yet, go to somebody else than this
/// machine, and the hosts that are themselves secret: those are asked for nowhere.
pub(super) fn of(plan: &Plan) -> Result<Vec<Leaving>, CommandError> {
    let lookup = secrets::lookup(&plan.dir);
    let mut found = BTreeSet::new();
    for asked in asked(plan) {
        let texts = asked.beside.iter().copied().chain([asked.address]);
        let mut from: BTreeSet<String> = texts.flat_map(secret::places).collect();
        from.extend(certificate(&plan.dir, asked.connect));
        if from.is_empty() || is_path(asked.address) {
            continue;
        }
        if let Some(place) = elsewhere(asked.address, asked.connect, &lookup)? {
            let to = format!("{place} ({})", asked.who);
            found.extend(from.into_iter().map(|secret| Leaving {
                secret,
                to: to.clone(),
            }));
        }
    }
    let base = match &plan.target.kind {
        TargetKind::External { url } => url.as_str(),
        TargetKind::Demo | TargetKind::OfTheEngine => "",
    };
    let users = match &plan.scenario {
        ScenarioSource::Spec(spec) => Some(&**spec),
        ScenarioSource::SingleGet(_) | ScenarioSource::OfTheEngine => None,
    };
    let others = plan.populations.others.iter().map(|o| &*o.scenario);
    for spec in users.into_iter().chain(others) {
        found.extend(of_scenario(spec, base, plan, &lookup)?);
    }
    Ok(found.into_iter().collect())
}

fn of_scenario(
    spec: &ScenarioSpec,
    base: &str,
    plan: &Plan,
    lookup: &Lookup<'_>,
) -> Result<Vec<Leaving>, CommandError> {
    let connect = &plan.target.connect;
    // A redirect takes what was sent along, to whoever is allowed.
    let follows = spec.redirects.as_ref().is_some_and(|n| *n.get_ref() > 0);
    let of_all = spec.headers.values().chain(spec.vars.values());
    let mut of_all: BTreeSet<String> = of_all.flat_map(|t| secret::places(t.get_ref())).collect();
    let files = spec.feeders.iter();
    let files = files.filter(|(_, feeder)| lies_elsewhere(&plan.dir, &feeder.get_ref().file));
    of_all.extend(files.map(|(name, feeder)| {
        format!("the file `{}` (the feeder `{name}`)", feeder.get_ref().file)
    }));
    of_all.extend(certificate(&plan.dir, connect));
    let mut found = Vec::new();
    let steps = spec.all_steps().map(toml::Spanned::as_ref);
    let sent = steps.flat_map(|step| addresses(spec, step).map(move |address| (step, address)));
    for (step, address) in sent {
        let whole = if address.contains("://") {
            address
        } else {
            base
        };
        if whole.is_empty() {
            continue;
        }
        let mut from = of_all.clone();
        from.extend(texts(step).iter().flat_map(|text| secret::places(text)));
        let files = step.files().filter(|file| lies_elsewhere(&plan.dir, file));
        from.extend(files.map(|file| format!("the file `{file}`")));
        let place = elsewhere(whole, connect, lookup)?;
        // So does an address that an answer gave.
        let follows = follows || address.trim_start().starts_with("{{");
        let others = plan.target.allowed.hosts().iter().filter(|_| follows);
        let places = place.into_iter().chain(others.cloned());
        for to in places {
            found.extend(from.iter().map(|secret| Leaving {
                secret: secret.clone(),
                to: to.clone(),
            }));
        }
    }
    Ok(found)
}

/// A client certificate that is not of the profile's own folder: whoever is shown it learns who
/// asks.
fn certificate(dir: &Path, connect: &ConnectPlan) -> Option<String> {
    let file = connect.cert.as_ref()?.display().to_string();
    // One that was typed is meant so.
    let typed =
        std::env::args_os().any(|a| a == "--cert" || a.to_string_lossy().starts_with("--cert="));
    (!typed && lies_elsewhere(dir, &file)).then(|| format!("the client certificate `{file}`"))
}

/// Every text of a step that is sent.
fn texts(step: &StepSpec) -> Vec<String> {
    let address = step.request().map(|(_, address)| address.to_owned());
    let json = step.json.as_ref().map(ToString::to_string);
    let headers = step.headers.values().cloned();
    let tables = [Some(&step.query), step.form.as_ref()]
        .into_iter()
        .flatten();
    let pairs = tables
        .flatten()
        .flat_map(|(name, value)| [name.clone(), value.to_string()]);
    let auth = step.basic_auth.as_ref();
    let auth = auth
        .into_iter()
        .flat_map(|a| [a.user.clone(), a.password.clone()]);
    let parts = step.multipart.iter().flatten();
    let parts = parts.filter_map(|part| part.text.clone());
    address
        .into_iter()
        .chain(json)
        .chain(step.body.clone())
        .chain(messages(step))
        .chain(headers)
        .chain(pairs)
        .chain(auth)
        .chain(parts)
        .collect()
}

/// Where a step sends to: a message goes where its WebSocket was opened.
fn addresses<'a>(
    spec: &'a ScenarioSpec,
    step: &'a StepSpec,
) -> impl Iterator<Item = &'a str> + use<'a> {
    let on = match &step.send {
        Some(SendSpec::Table(table)) => table.on.as_deref(),
        Some(SendSpec::Text(_)) | None => None,
    };
    let sockets = spec.all_steps().map(toml::Spanned::as_ref);
    let sockets = sockets
        .filter(move |s| step.send.is_some() && on.is_none_or(|on| s.name.as_deref() == Some(on)))
        .filter_map(|s| s.connect.as_deref());
    let own = step.request().map(|(_, address)| address);
    own.into_iter().chain(sockets)
}

/// What a step sends on a WebSocket.
fn messages(step: &StepSpec) -> Vec<String> {
    let replies = step.replies.iter().map(|reply| reply.send.clone());
    let sent = match &step.send {
        None => Vec::new(),
        Some(SendSpec::Text(text)) => vec![text.clone()],
        Some(SendSpec::Table(table)) => {
            let json = table.json.as_ref().map(ToString::to_string);
            table.text.clone().into_iter().chain(json).collect()
        }
    };
    replies.chain(sent).collect()
}

/// Whether a feeder is not of the profile's own folder: then it is a file of whoever runs it.
fn lies_elsewhere(dir: &Path, file: &str) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let path = Path::new(file);
    let climbs = path.is_absolute()
        || path
            .components()
            .any(|c| c == std::path::Component::ParentDir);
    (climbs || dir.join(path).exists()) && !real(&dir.join(path)).starts_with(real(dir))
}

/// Where an address leads, where that is not this machine. A host that holds a secret is not looked
/// up: its name would be told to whoever answers for names.
fn elsewhere(
    template: &str,
    connect: &ConnectPlan,
    lookup: &Lookup<'_>,
) -> Result<Option<String>, CommandError> {
    // What cannot be read is told by whoever reads it.
    let Ok(filled) = secret::fill_address(template, lookup) else {
        return Ok(None);
    };
    let Some((host, port)) = Url::parse(&filled).ok().as_ref().and_then(place) else {
        return Ok(None);
    };
    let is_secret = secret::places(secret::host_of(template)).next().is_some();
    let is_literal = host.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost");
    if is_secret
        && !is_literal
        && !connect.allowed.names(&host)
        && connect.resolve.of(&host, port).is_none()
    {
        return Err(CommandError::new(
            Exit::Usage,
            format!(
                "the host in `{}` comes from outside the profile and was not allowed: add it with \
                 `--allow-target`. Nothing was sent",
                masked(template)
            ),
        ));
    }
    let addresses = if is_secret && !is_literal {
        connect.resolve.of(&host, port).unwrap_or_default().to_vec()
    } else {
        leads_to(&host, port, &connect.resolve)
    };
    let nobody = Allowed::default();
    let is_here = !addresses.is_empty() && addresses.iter().all(|a| nobody.permits(&host, *a));
    Ok((!is_here).then_some(host))
}

/// What must be agreed to before it leaves. What whoever typed it sends is meant so.
pub(super) fn wish(plan: &Plan, leaving: &[Leaving]) -> Option<ConsentRequest> {
    let text = plan.profile_text().filter(|_| !leaving.is_empty())?;
    let mut shown = format!(
        "the profile `{}` sends your secrets to other hosts:",
        excerpt::line(&plan.name)
    );
    let lines: Vec<String> = leaving.iter().map(Leaving::line).collect();
    for line in &lines {
        // Writing to a string cannot fail.
        write!(shown, "\n    {line}").ok();
    }
    // The same text in another folder reads other files.
    let dir = std::fs::canonicalize(&plan.dir).unwrap_or_else(|_| plan.dir.clone());
    let parts: Vec<&[u8]> = [text.as_bytes(), dir.as_os_str().as_bytes()]
        .into_iter()
        .chain(lines.iter().map(String::as_bytes))
        .collect();
    let mark = mark("secrets", &parts);
    Some(ConsentRequest { shown, mark })
}
