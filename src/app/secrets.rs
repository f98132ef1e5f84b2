//! Where the secrets of a profile come from: the environment, and files.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{CommandError, Exit};
use crate::bounded;
use crate::confidential;
use crate::plan::{EnginePlan, MonitorSource, Plan, ScenarioSource, TargetKind};
use crate::secret::{self, Place, is_secret_header};

/// Characters of the shortest value of the environment that is hidden.
const SHORTEST: usize = 6;

/// Looks secrets up; files start from the profile's folder.
pub(super) fn lookup(dir: &Path) -> impl Fn(Place<'_>) -> Option<String> + use<> {
    let dir: PathBuf = dir.to_owned();
    move |place| {
        let value = match place {
            Place::Env(name) => std::env::var(name).ok()?,
            Place::File(path) => {
                let text = bounded::text(&dir.join(path), bounded::VALUE).ok()?;
                let text = text.strip_suffix('\n').unwrap_or(&text);
                text.strip_suffix('\r').unwrap_or(text).to_owned()
            }
        };
        confidential::know([value.clone()]);
        Some(value)
    }
}

/// Notes what a plan has of secrets that are written in it: passwords in addresses, and headers
/// that prove who asks.
pub(super) fn know_written(plan: &Plan) {
    let monitors = plan.monitors.iter().filter_map(|m| m.source.address());
    let target = match &plan.target.kind {
        TargetKind::External { url } => Some(url.as_str()),
        TargetKind::Demo | TargetKind::OfTheEngine => None,
    };
    let page = plan.engine.facts().page();
    let addresses = (monitors.chain(target)).chain(page.iter().map(|page| page.url));
    confidential::know(addresses.flat_map(secret::of_address));
    let headers = page.iter().flat_map(|page| page.headers);
    know_headers(headers.map(|(n, v)| (n.as_str(), v.as_str())));
    let others = plan.populations.others.iter().map(|o| &*o.scenario);
    let users = match &plan.scenario {
        ScenarioSource::Spec(spec) => Some(&**spec),
        ScenarioSource::SingleGet(_) | ScenarioSource::OfTheEngine => None,
    };
    for spec in users.into_iter().chain(others) {
        know_headers(
            spec.headers
                .iter()
                .map(|(n, v)| (n.as_str(), v.get_ref().as_str())),
        );
        for step in spec.all_steps().map(toml::Spanned::as_ref) {
            let password = step.basic_auth.as_ref().map(|auth| auth.password.clone());
            confidential::know(password.filter(|p| !p.is_empty() && !p.contains("{{")));
            know_headers(step.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            let address = step.request().map_or("", |(_, address)| address);
            confidential::know(secret::of_address(address));
        }
    }
}

fn know_headers<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) {
    let secret = headers.filter(|(name, value)| is_secret_header(name) && !value.contains("{{"));
    confidential::know(secret.map(|(_, value)| value.to_owned()));
}

/// Fills in the addresses of monitors and resets, and what an engine is told; scenarios are filled
/// in when they are compiled.
pub(super) fn fill(plan: &mut Plan) -> Result<(), CommandError> {
    know_written(plan);
    let lookup = lookup(&plan.dir);
    for monitor in &mut plan.monitors {
        let url = match &mut monitor.source {
            MonitorSource::Redis(url)
            | MonitorSource::Prometheus(url, _)
            | MonitorSource::PromQl(url, _) => url,
            MonitorSource::Docker(_)
            | MonitorSource::PidFile(_)
            | MonitorSource::DockerOrPidFile(..)
            | MonitorSource::Cgroup(_)
            | MonitorSource::Host => continue,
        };
        *url = filled_address(url, &lookup, &format!("monitor `{}`", monitor.name))?;
    }
    for flush in &mut plan.target.flushes {
        let of = format!("monitor `{}`", flush.monitor);
        flush.url = filled_address(&flush.url, &lookup, &of)?;
    }
    // Those of addresses that were filled in, which may be written otherwise there.
    know_written(plan);
    of_engine(&mut plan.engine, &plan.dir)
}

/// Fills in what an engine is told.
pub(super) fn of_engine(engine: &mut EnginePlan, dir: &Path) -> Result<(), CommandError> {
    let lookup = lookup(dir);
    let filled = engine
        .facts_mut()
        .fill(&|text, of| filled(text, &lookup, of));
    filled.map_err(|why| CommandError::new(Exit::Usage, why))?;
    let values = of_environment(std::env::vars_os());
    if engine.facts_mut().hide_of_environment(&values) {
        confidential::know(values);
    }
    Ok(())
}

/// What looks like a secret in the environment, by its name or for itself. Short values are found
/// everywhere.
fn of_environment(all: impl Iterator<Item = (OsString, OsString)>) -> Vec<String> {
    let texts = all.filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)));
    texts
        .filter(|(name, value)| secret::names_a_secret(name) || secret::is_credential(value))
        .map(|(_, value)| value)
        .filter(|value| value.chars().count() >= SHORTEST)
        .collect()
}

/// Fills in what a flag was given; files start from the present folder.
pub(super) fn in_flag(flag: &'static str) -> impl Fn(&str) -> Result<String, CommandError> {
    move |text| filled_address(text, &lookup(Path::new(".")), flag)
}

/// An address with its secrets.
fn filled_address(
    address: &str,
    lookup: &secret::Lookup<'_>,
    of: &str,
) -> Result<String, CommandError> {
    let filled = secret::fill_address(address, lookup);
    whole(filled, of).map_err(|why| CommandError::new(Exit::Usage, why))
}

/// A text with its secrets, of which nothing else may be left to fill in.
fn filled(text: &str, lookup: &secret::Lookup<'_>, of: &str) -> Result<String, String> {
    whole(secret::fill(text, lookup), of)
}

fn whole(filled: Result<String, String>, of: &str) -> Result<String, String> {
    let refuse = |why: String| format!("{of}: {why}");
    let filled = filled.map_err(refuse)?;
    match filled.split_once("{{") {
        None => Ok(filled),
        Some((_, rest)) => {
            let unknown = rest.split("}}").next().unwrap_or_default().trim();
            Err(refuse(format!(
                "`{unknown}` is not supported here; only {{{{ env.NAME }}}} and {{{{ \
                 file(\"PATH\") }}}} are"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_start_from_the_profiles_folder_and_their_last_line_break_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "abc\n").unwrap();
        std::fs::write(dir.path().join("two"), "a\nb\r\n").unwrap();
        let lookup = lookup(dir.path());
        assert_eq!(lookup(Place::File("token")).as_deref(), Some("abc"));
        assert_eq!(lookup(Place::File("two")).as_deref(), Some("a\nb"));
        assert_eq!(lookup(Place::File("none")), None);
    }

    #[test]
    fn of_the_environment_what_looks_like_a_secret_is_hidden() {
        let all = [
            ("API_KEY", "s3cr3t-value"),
            ("DB_PASSWORD", "hunter2-and-more"),
            ("HOME", "/home/ann"),
            ("TOKEN", "abc"),
        ];
        let all = all.map(|(name, value)| (name.into(), value.into()));
        let hidden = of_environment(all.into_iter());
        assert_eq!(hidden, ["s3cr3t-value", "hunter2-and-more"]);
    }

    #[test]
    fn what_is_not_known_or_not_there_is_named() {
        let lookup = |place: Place<'_>| (place == Place::Env("COOKIE")).then(|| "s=1".to_owned());
        let of = |text: &str| filled(text, &lookup, "header `cookie` for Locust");
        assert_eq!(
            of("a {{ env.COOKIE }}; b{{env.COOKIE}}").unwrap(),
            "a s=1; bs=1"
        );
        assert_eq!(of("plain").unwrap(), "plain");
        for (text, part) in [
            ("{{ env.NONE }}", "`NONE` is not set"),
            ("{{ vu }}", "`vu` is not supported here"),
            ("{{ env.COOKIE", "without `}}`"),
        ] {
            let why = of(text).unwrap_err();
            assert!(why.starts_with("header `cookie` for Locust: "), "{why}");
            assert!(why.contains(part), "{why}");
        }
    }
}
