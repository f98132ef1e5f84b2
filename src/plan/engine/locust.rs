//! A Locust cluster as the engine of a plan.

use super::{Abilities, EngineFacts, EngineWords, PageFacts, Secrets, VuCost};
use crate::plan::value;
use crate::plan::{ConnectPlan, FindFlags, PlanError, folder_name};
use crate::profile::EngineSpec;
use crate::secret::{MASK, masked};

/// Where a Locust master has its web page unless it is told otherwise.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:8089";

/// A Locust cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocustPlan {
    /// Address of its master's web page.
    pub url: String,
    /// Sent with every request to it; values may have `{{ env.NAME }}`.
    pub headers: Vec<(String, String)>,
    /// How it is connected to.
    pub connect: ConnectPlan,
}

/// Those of the profile, and over them those of the flags.
pub(super) fn headers(
    spec: &EngineSpec,
    flags: &FindFlags,
) -> Result<Vec<(String, String)>, PlanError> {
    let mut out: Vec<(String, String)> = spec
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect();
    for text in &flags.locust_header {
        let Some((name, value)) = text.split_once(':') else {
            return Err(PlanError::Flag {
                flag: "--locust-header",
                // It may be a secret as a whole.
                value: MASK.to_owned(),
                why: "write NAME: VALUE, such as 'cookie: {{ env.LOCUST_COOKIE }}'".to_owned(),
            });
        };
        let name = name.trim().to_ascii_lowercase();
        out.retain(|(n, _)| *n != name);
        out.push((name, value.trim().to_owned()));
    }
    Ok(out)
}

impl EngineFacts for LocustPlan {
    fn name(&self) -> &'static str {
        "locust"
    }

    fn abilities(&self) -> Abilities {
        let no = |why: &str| Err(why.to_owned());
        let of_workers = "set this on the workers (breakpoint worker has it too)";
        Abilities {
            runs_scenarios: false,
            own_connections: false,
            open_model: no("a Locust cluster has users, not arrivals; remove the rate"),
            populations: no(
                "a Locust cluster has the users of its own files; give them classes and weights \
                 there",
            ),
            good_cycles: no(
                "a Locust cluster reports requests and no cycles, so those that meet all limits \
                 cannot be counted; give each limit an objective of its own, such as \
                 p99(NAME)<500ms",
            ),
            one_cycle: Err(format!(
                "the Locust cluster at {} makes this profile's load, so its requests cannot be \
                 shown here; to run one user: locust -f locustfile.py --headless --users 1 \
                 --run-time 10s",
                masked(&self.url)
            )),
            threads: no(of_workers),
            local_addresses: no(of_workers),
            ..Abilities::all()
        }
    }

    fn words(&self) -> EngineWords {
        EngineWords {
            loads: "what Locust loads",
            outline: vec![(
                "engine",
                format!("the Locust cluster at {}", masked(&self.url)),
            )],
            by: None,
            requests: Some("as defined by Locust's own files"),
            broken_off: Some("stopping the Locust test"),
            demo: Some(("a Locust cluster", "Locust (--host)")),
        }
    }

    fn vu_cost(&self) -> VuCost {
        VuCost::Nothing
    }

    fn target(&self) -> Option<&str> {
        Some(&self.url)
    }

    fn run_name(&self) -> Result<Option<String>, PlanError> {
        let uri = value::url(&self.url).map_err(|why| PlanError::Flag {
            flag: "--locust-url",
            value: self.url.clone(),
            why,
        })?;
        Ok(Some(format!("locust-{}", folder_name(&uri))))
    }

    fn page(&self) -> Option<PageFacts<'_>> {
        Some(PageFacts {
            of: "the Locust master",
            url: &self.url,
            headers: &self.headers,
            connect: &self.connect,
        })
    }

    fn check_url(&self, url: &str) -> Result<(), PlanError> {
        Err(PlanError::Flag {
            flag: "--url",
            value: url.to_owned(),
            why: "set the address of the service in Locust (--host, or the locustfile)".to_owned(),
        })
    }

    fn fill(&mut self, secrets: &Secrets<'_>) -> Result<(), String> {
        for (name, value) in &mut self.headers {
            *value = secrets(value, &format!("header `{name}` for Locust"))?;
        }
        Ok(())
    }
}
