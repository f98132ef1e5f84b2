//! What stops a run before it is done.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::monitor_names;
use super::value::{self, Flag, Reader};
use super::{FindFlags, LoadPlan, MonitorPlan, MonitorSource, Plan, PlanError, TargetPlan};
use crate::measure::fields;
use crate::profile::{self, nearest};
use crate::slo::Condition;

/// How many recoveries may run to their time limits after the budget is spent: the one before a
/// probe that was granted within it, and the one after that.
const RECOVERIES: u32 = 2;
/// How long a target that should run already may take to answer.
const ARRIVAL: Duration = Duration::from_secs(10);

/// What stops a run before it is done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SafetyPlan {
    /// The run ends when this file is there.
    pub stop_file: Option<PathBuf>,
    /// It ends when monitors read any of this.
    pub abort_if: Condition,
    /// The longest time of the whole run, where it was given.
    pub max_time: Option<Duration>,
}

impl Plan {
    /// The longest time of a whole run, from the target's coming up to the end of the load: nothing
    /// goes on for ever. It is the one time that is told before a run, and the one at which it is
    /// ended.
    pub fn longest_run(&self) -> Duration {
        let default = || {
            let up = self
                .target
                .up
                .as_ref()
                .map_or(Duration::ZERO, |_| self.target.up_timeout);
            let references = Duration::from_secs_f64(self.search.references_s());
            [
                up,
                self.arrival_timeout(),
                self.search.budget,
                self.longest_recovery().saturating_mul(RECOVERIES),
                references,
                self.longest_ramp_down(),
                self.target.drain_timeout,
            ]
            .into_iter()
            .fold(Duration::ZERO, Duration::saturating_add)
        };
        self.safety.max_time.unwrap_or_else(default)
    }

    /// How long the target may take to answer before the first probe: what this program brought up
    /// may still be starting, what should run already need not be waited for as long.
    pub fn arrival_timeout(&self) -> Duration {
        match self.target.up {
            Some(_) => self.target.reset_timeout,
            None => self.target.reset_timeout.min(ARRIVAL),
        }
    }

    /// A drain, a reset where there is one, and the canary cycles after it, each to its limit.
    fn longest_recovery(&self) -> Duration {
        let TargetPlan {
            reset,
            restarts,
            flushes,
            reset_timeout,
            drain_timeout,
            ..
        } = &self.target;
        let has_reset = reset.is_some() || !restarts.is_empty() || !flushes.is_empty();
        let limits = reset_timeout.saturating_mul(if has_reset { 2 } else { 1 });
        drain_timeout.saturating_add(limits)
    }

    /// Until the VUs of the highest level are gone; a rate is changed at once.
    fn longest_ramp_down(&self) -> Duration {
        let vus = match self.load {
            LoadPlan::Closed => f64::from(self.search.max.get()),
            LoadPlan::Open(_) => 0.0,
        };
        let down = Duration::try_from_secs_f64(vus / self.pace_per_s);
        down.unwrap_or(Duration::MAX / 16)
    }
}

pub(super) fn resolve(
    section: &profile::SearchSection,
    flags: &FindFlags,
    reader: &Reader<'_>,
    dir: &Path,
    monitors: &[MonitorPlan],
) -> Result<SafetyPlan, PlanError> {
    let in_profile = section.stop_file.as_ref().map(|file| dir.join(file));
    let max_time = reader.pick(
        Flag("--max-time", flags.max_time.clone()),
        section.max_time.as_ref(),
        None,
        |t| value::duration(t).map(Some),
    )?;
    Ok(SafetyPlan {
        stop_file: flags.stop_file.clone().or(in_profile),
        abort_if: abort_if(section, flags, reader, monitors)?,
        max_time: max_time.value,
    })
}

/// Those of the profile and those of flags: one more limit never takes another away.
fn abort_if(
    section: &profile::SearchSection,
    flags: &FindFlags,
    reader: &Reader<'_>,
    monitors: &[MonitorPlan],
) -> Result<Condition, PlanError> {
    let mut all = Condition::default();
    for text in section.abort_if.iter().flatten() {
        add(&mut all, text.as_ref(), monitors).map_err(|why| match reader.source {
            Some(source) => source.error(Some(text.span()), why).into(),
            None => of_flag(text.as_ref(), why),
        })?;
    }
    for text in &flags.abort_if {
        add(&mut all, text, monitors).map_err(|why| of_flag(text, why))?;
    }
    Ok(all)
}

fn of_flag(text: &str, why: String) -> PlanError {
    PlanError::Flag {
        flag: "--abort-if",
        value: text.to_owned(),
        why,
    }
}

fn add(all: &mut Condition, text: &str, monitors: &[MonitorPlan]) -> Result<(), String> {
    let names = monitor_names(monitors);
    all.add(text, &names).map_err(|e| e.to_string())?;
    // A limit on a field that nobody reads would never stop anything.
    all.fields()
        .try_for_each(|(monitor, field)| check_field(monitor, field, monitors))
}

fn check_field(monitor: &str, field: &str, monitors: &[MonitorPlan]) -> Result<(), String> {
    let of_it = monitors.iter().filter(|m| m.name == monitor);
    let known: Vec<&str> = of_it.flat_map(|m| fields_of(&m.source)).collect();
    if known.contains(&field) {
        return Ok(());
    }
    let near = nearest(field, known.iter().copied());
    let near = near.map_or_else(
        || format!("it may have {}", known.join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    Err(format!(
        "the monitor `{monitor}` has no field `{field}`; {near}"
    ))
}

fn fields_of(source: &MonitorSource) -> Vec<&str> {
    match source {
        MonitorSource::Prometheus(_, table) => with_scrapes(table),
        MonitorSource::PromQl(_, table) => with_scrapes(table),
        MonitorSource::Host => fields::names(fields::HOST).collect(),
        MonitorSource::PidFile(_) => fields::names(fields::PROCESS).collect(),
        MonitorSource::Docker(_) | MonitorSource::DockerOrPidFile(..) => {
            fields::names(fields::PROCESS)
                .chain(fields::names(fields::CONTAINER))
                .collect()
        }
        MonitorSource::Cgroup(_) => fields::names(fields::CONTROL_GROUP).collect(),
        MonitorSource::Redis(_) => fields::names(fields::REDIS).collect(),
    }
}

fn with_scrapes<T>(table: &[(String, T)]) -> Vec<&str> {
    let mut all: Vec<&str> = table.iter().map(|(field, _)| field.as_str()).collect();
    all.extend(fields::names(fields::SCRAPE));
    all
}
