//! A Locust cluster as the engine of a session, and the plug-in for it.

use super::signals::Signals;
use super::{Exit, Refusal};
use crate::engine::EngineError;
use crate::engine::locust::{LocustEngine, LocustSpec, PLUGIN};
use crate::plan::{LocustPlan, Plan};
use crate::term::Terminal;

/// Prints the plug-in.
pub(super) fn print_plugin(terminal: &Terminal) -> Exit {
    terminal.print(PLUGIN);
    Exit::Answer
}

/// Connects to the cluster of a plan and looks around, unless the user stops that.
pub(super) async fn start(
    plan: &Plan,
    locust: &LocustPlan,
    climbs: bool,
    signals: &Signals,
) -> Result<LocustEngine, Refusal> {
    let spec = LocustSpec {
        url: locust.url.clone(),
        headers: headers(locust)?,
        pace_per_s: plan.pace_per_s,
        names: plan.named_steps(),
        // The first level that is visited anyway.
        look_users: plan.search.start.get().min(plan.search.max.get()),
        climbs,
    };
    LocustEngine::start(spec, signals.wait())
        .await
        .map_err(|error| match error {
            _ if signals.interrupt.is_set() => Refusal::new(
                Exit::Interrupted,
                "interrupted before the first probe; the Locust test is stopped",
            ),
            EngineError::Unfit(why) => Refusal::new(Exit::Usage, why),
            error => Refusal::new(Exit::HostLimit, error),
        })
}

fn headers(locust: &LocustPlan) -> Result<Vec<(String, String)>, Refusal> {
    let one = |(name, value): &(String, String)| {
        let value = with_environment(value, |name| std::env::var(name).ok()).map_err(|why| {
            Refusal::new(Exit::Usage, format!("header `{name}` for Locust: {why}"))
        })?;
        Ok((name.clone(), value))
    };
    locust.headers.iter().map(one).collect()
}

/// A text with `{{ env.NAME }}` replaced.
fn with_environment(text: &str, env: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inner, behind) = after
            .split_once("}}")
            .ok_or_else(|| "`{{` is not closed by `}}`".to_owned())?;
        let name = inner.trim().strip_prefix("env.").ok_or_else(|| {
            format!(
                "`{}` is not known here; only {{{{ env.NAME }}}} is",
                inner.trim()
            )
        })?;
        let value = env(name).ok_or_else(|| format!("the environment has no {name}"))?;
        out.push_str(before);
        out.push_str(&value);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_take_secrets_from_the_environment() {
        let env = |name: &str| (name == "COOKIE").then(|| "s=1".to_owned());
        let of = |text: &str| with_environment(text, env);
        assert_eq!(
            of("a {{ env.COOKIE }}; b{{env.COOKIE}}").unwrap(),
            "a s=1; bs=1"
        );
        assert_eq!(of("plain").unwrap(), "plain");
        for (text, part) in [
            ("{{ env.NONE }}", "no NONE"),
            ("{{ vu }}", "`vu` is not known here"),
            ("{{ env.COOKIE", "not closed"),
        ] {
            let why = of(text).unwrap_err();
            assert!(why.contains(part), "{why}");
        }
    }
}
