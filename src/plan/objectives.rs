//! What objectives ask of the steps: that there are such, and that cycles are counted by several
//! limits at once.

use std::ops::Range;
use std::sync::Arc;

use super::{Plan, PlanError, ScenarioSource, monitor_names};
use crate::measure::StepTable;
use crate::scenario::{Files, Scenario};
use crate::secret;
use crate::slo::{Objective, Slo};

impl Plan {
    /// Whether every objective names a step and a monitor that exist, and is one that the engine
    /// can count; the steps are known once the scenario is compiled.
    ///
    /// # Errors
    /// Names the first one that does not, with where it stands.
    pub fn check_slo(&self, steps: &StepTable) -> Result<(), PlanError> {
        let monitors = monitor_names(&self.monitors);
        for (objective, span) in self.slo.objectives().iter().zip(&self.slo_spans) {
            if objective.good().is_some() {
                let able = self.engine.facts().abilities().good_cycles;
                able.map_err(|why| self.unfit(objective, span.as_ref(), &why))?;
            }
            let alone = Slo::parse([&objective.text])?;
            if let Err(error) = alone.check_names(steps, &monitors) {
                return Err(match (&self.source, span) {
                    (Some(source), Some(span)) => {
                        source.error(Some(span.clone()), error.to_string()).into()
                    }
                    _ => error.into(),
                });
            }
        }
        Ok(())
    }

    /// Lets the cycles be counted that meet the limits of the objectives on good cycles.
    ///
    /// # Errors
    /// When a limit is on something that no cycle of the scenario has.
    pub fn count_good(&self, scenario: &mut Scenario) -> Result<(), PlanError> {
        self.count_good_of(scenario, |step| Ok(Some(step.to_owned())))
    }

    /// The same for one kind of a mix, whose steps are named with it; a kind of which no limit is
    /// has no such cycles.
    ///
    /// # Errors
    /// As [`Self::count_good`], and when a limit does not say of which kind its step is.
    pub fn count_good_of_kind(&self, scenario: &mut Scenario, kind: &str) -> Result<(), PlanError> {
        let kinds = self
            .populations
            .amounts()
            .filter(|(_, amount)| amount.share().is_some());
        let kinds: Vec<&str> = kinds.map(|(name, _)| name).collect();
        self.count_good_of(scenario, |step| {
            let own = |kind: &str| {
                step.strip_prefix(kind)?
                    .strip_prefix('.')
                    .map(str::to_owned)
            };
            if step == StepTable::CYCLE {
                return Ok(Some(step.to_owned()));
            }
            match own(kind) {
                Some(step) => Ok(Some(step)),
                None if kinds.iter().any(|other| own(other).is_some()) => Ok(None),
                None => Err(format!(
                    "in a mix a step is named with its kind, as in `{kind}.{step}`"
                )),
            }
        })
    }

    /// `named` gives the name that a limit's step has in the scenario, where it is one of its
    /// steps.
    fn count_good_of(
        &self,
        scenario: &mut Scenario,
        named: impl Fn(&str) -> Result<Option<String>, String>,
    ) -> Result<(), PlanError> {
        for (objective, span) in self.slo.objectives().iter().zip(&self.slo_spans) {
            let Some((row, limits)) = objective.good() else {
                continue;
            };
            let limits = (limits.iter()).filter_map(|limit| {
                let named = named(&limit.step).transpose()?;
                Some(named.map(|step| (step, limit.most, limit.inclusive)))
            });
            let limits: Result<Vec<_>, String> = limits.collect();
            let limits = limits.map_err(|why| self.unfit(objective, span.as_ref(), &why))?;
            if limits.is_empty() {
                continue;
            }
            scenario
                .add_goal(row, &limits)
                .map_err(|why| self.unfit(objective, span.as_ref(), &why))?;
        }
        Ok(())
    }

    /// Whether the scenario of a plan without feeders compiles, whatever its secrets are, and has
    /// what the objectives name.
    ///
    /// # Errors
    /// Says what is wrong, with where it stands.
    pub fn check_scenario(&self) -> Result<(), PlanError> {
        let (ScenarioSource::Spec(spec), Some(base)) = (&self.scenario, self.target.kind.url())
        else {
            return Ok(());
        };
        let any = |place: secret::Place<'_>| match place {
            secret::Place::Env(_) | secret::Place::File(_) => Some("secret".to_owned()),
        };
        // Files are read when they are sent.
        let files = spec.all_steps().flat_map(|step| step.get_ref().files());
        let files = Files {
            bodies: files
                .map(|file| (file.to_owned(), Arc::default()))
                .collect(),
            ..Files::default()
        };
        let scenario = Scenario::compile(spec, base, &files, &any);
        let mut scenario = scenario.map_err(|e| self.scenario_error(e.span, &e.message))?;
        self.count_good(&mut scenario)?;
        self.check_slo(scenario.table())
    }

    /// Why an objective cannot be, shown where it stands.
    fn unfit(&self, objective: &Objective, span: Option<&Range<usize>>, why: &str) -> PlanError {
        match (&self.source, span) {
            (Some(source), Some(span)) => {
                let why = format!("`{objective}`: {why}");
                source.error(Some(span.clone()), why).into()
            }
            _ => PlanError::Flag {
                flag: "--slo",
                value: objective.text.clone(),
                why: why.to_owned(),
            },
        }
    }
}
