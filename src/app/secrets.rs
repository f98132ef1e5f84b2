//! Where the secrets of a profile come from: the environment, and files.

use std::path::{Path, PathBuf};

use super::{Exit, Refusal};
use crate::plan::{EnginePlan, MonitorSource, Plan};
use crate::secret::{self, Hidden, Place};

/// Looks secrets up; files start from the profile's folder.
pub(super) fn lookup(dir: &Path) -> impl Fn(Place<'_>) -> Option<String> + use<> {
    let dir: PathBuf = dir.to_owned();
    move |place| match place {
        Place::Env(name) => std::env::var(name).ok(),
        Place::File(path) => {
            let text = std::fs::read_to_string(dir.join(path)).ok()?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            Some(text.strip_suffix('\r').unwrap_or(text).to_owned())
        }
    }
}

/// Fills in the addresses of monitors and resets, the headers for Locust and the arguments of k6; scenarios are filled in when they are compiled.
pub(super) fn fill(plan: &mut Plan) -> Result<(), Refusal> {
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
        *url = filled(url, &lookup, &format!("monitor `{}`", monitor.name))?;
    }
    for flush in &mut plan.target.flushes {
        flush.url = filled(&flush.url, &lookup, &format!("monitor `{}`", flush.monitor))?;
    }
    match &mut plan.engine {
        EnginePlan::Native => {}
        EnginePlan::Locust(locust) => {
            for (name, value) in &mut locust.headers {
                *value = filled(value, &lookup, &format!("header `{name}` for Locust"))?;
            }
        }
        EnginePlan::K6(k6) => {
            (k6.arguments, k6.hidden) = of_arguments(&k6.arguments, &plan.dir)?;
        }
    }
    Ok(())
}

/// The arguments of k6 with their secrets, and what of them must not be told.
pub(super) fn of_arguments(
    arguments: &[String],
    dir: &Path,
) -> Result<(Vec<String>, Hidden), Refusal> {
    let lookup = lookup(dir);
    let (mut out, mut hidden) = (Vec::new(), Vec::new());
    for argument in arguments {
        let name = argument.split('=').next().unwrap_or_default();
        let value = filled(argument, &lookup, &format!("`{name}` for k6"))?;
        if value != *argument {
            let secret = value
                .split_once('=')
                .map_or(value.as_str(), |(_, secret)| secret);
            hidden.push(secret.to_owned());
        }
        out.push(value);
    }
    Ok((out, Hidden::new(hidden)))
}

/// Fills in what a flag was given; files start from the present folder.
pub(super) fn in_flag(flag: &'static str) -> impl Fn(&str) -> Result<String, Refusal> {
    move |text| filled(text, &lookup(Path::new(".")), flag)
}

/// A text with its secrets, of which nothing else may be left to fill in.
fn filled(text: &str, lookup: &secret::Lookup<'_>, of: &str) -> Result<String, Refusal> {
    let refuse = |why: String| Refusal::new(Exit::Usage, format!("{of}: {why}"));
    let filled = secret::fill(text, lookup).map_err(refuse)?;
    match filled.split_once("{{") {
        None => Ok(filled),
        Some((_, rest)) => {
            let unknown = rest.split("}}").next().unwrap_or_default().trim();
            Err(refuse(format!(
                "`{unknown}` is not known here; only {{{{ env.NAME }}}} and {{{{ file(\"PATH\") }}}} are"
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
            ("{{ vu }}", "`vu` is not known here"),
            ("{{ env.COOKIE", "without `}}`"),
        ] {
            let why = of(text).unwrap_err().message;
            assert!(why.starts_with("header `cookie` for Locust: "), "{why}");
            assert!(why.contains(part), "{why}");
        }
    }
}
