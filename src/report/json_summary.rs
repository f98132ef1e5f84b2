//! What `--format json` prints: the record without its seconds and histograms, for programs.
//! docs/reports.md has the shape.

use serde::Serialize;

use super::{ReportError, json};
use crate::measure::{Exchange, FailureKind, FailureWay, Level};
use crate::record::{
    Answer, Band, Breach, Environment, HoldEnd, LimitingResource, LoadGate, LogRecord,
    ObjectiveRecord, PlanRecord, ProbeRecord, Purpose, RampEnding, RampRecord, ReferenceRun,
    RunRecord, StageRecord, StageSpan, StepRecord,
};
use crate::slo::Verdict;

#[derive(Serialize)]
struct RunSummary<'a> {
    schema_version: u32,
    breakpoint_version: &'a str,
    profile: &'a str,
    started_at: &'a str,
    finished_at: &'a str,
    slo: &'a [String],
    answer: &'a Answer,
    gate: Option<LoadGate>,
    plan: &'a PlanRecord,
    environment: &'a Environment,
    warnings: &'a [String],
    probes: Vec<ProbeSummary<'a>>,
}

#[derive(Serialize)]
struct ProbeSummary<'a> {
    index: usize,
    purpose: Purpose,
    level: Level,
    arrived_from: Level,
    start_s: f64,
    ramp_s: f64,
    settle_s: f64,
    hold_s: f64,
    settled: bool,
    end: HoldEnd,
    verdict: Verdict,
    reason: &'a str,
    objectives: &'a [ObjectiveRecord],
    throughput_per_s: Option<f64>,
    steps: Vec<StepSummary<'a>>,
    log: &'a [LogRecord],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    exchanges: &'a [Exchange],
    limiting_resource: &'a Option<LimitingResource>,
    other_causes: &'a [LimitingResource],
    estimate: Option<Band>,
}

#[derive(Serialize)]
struct StepSummary<'a> {
    #[serde(rename = "step")]
    name: &'a str,
    completed: u64,
    failed: &'a [(FailureKind, u64)],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    failures: &'a [FailureWay],
    shed: u64,
    in_flight: u64,
    oldest_in_flight_s: Option<f64>,
    p50_s: Option<f64>,
    p95_s: Option<f64>,
    p99_s: Option<f64>,
    max_s: Option<f64>,
}

#[derive(Serialize)]
struct RampSummary<'a> {
    schema_version: u32,
    breakpoint_version: &'a str,
    profile: &'a str,
    started_at: &'a str,
    finished_at: &'a str,
    slo: &'a [String],
    ending: RampEnding,
    reason: &'a str,
    breach: &'a Option<Breach>,
    #[serde(rename = "beside")]
    reference_run: &'a Option<ReferenceRun>,
    plan: &'a PlanRecord,
    environment: &'a Environment,
    warnings: &'a [String],
    asked: &'a [StageSpan],
    stages: Vec<Stage<'a>>,
}

#[derive(Serialize)]
struct Stage<'a> {
    index: usize,
    asked: StageSpan,
    measured_s: f64,
    mean_level: f64,
    vus_reached: u32,
    end: HoldEnd,
    verdict: Verdict,
    reason: &'a str,
    objectives: &'a [ObjectiveRecord],
    throughput_per_s: Option<f64>,
    steps: Vec<StepSummary<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    exchanges: &'a [Exchange],
    limiting_resource: &'a Option<LimitingResource>,
    other_causes: &'a [LimitingResource],
}

pub(super) fn of_run(record: &RunRecord) -> Result<Vec<u8>, ReportError> {
    let record = json::finite(record)?;
    json::laid_out(&RunSummary {
        schema_version: record.schema_version,
        breakpoint_version: &record.breakpoint_version,
        profile: &record.profile,
        started_at: &record.started_at,
        finished_at: &record.finished_at,
        slo: &record.slo,
        answer: &record.answer,
        gate: record.gate(),
        plan: &record.plan,
        environment: &record.environment,
        warnings: &record.warnings,
        probes: record.probes.iter().map(probe).collect(),
    })
}

pub(super) fn of_ramp(record: &RampRecord) -> Result<Vec<u8>, ReportError> {
    let record = json::finite_ramp(record)?;
    json::laid_out(&RampSummary {
        schema_version: record.schema_version,
        breakpoint_version: &record.breakpoint_version,
        profile: &record.profile,
        started_at: &record.started_at,
        finished_at: &record.finished_at,
        slo: &record.slo,
        ending: record.ending,
        reason: &record.reason,
        breach: &record.breach,
        reference_run: &record.reference_run,
        plan: &record.plan,
        environment: &record.environment,
        warnings: &record.warnings,
        asked: &record.asked,
        stages: record.stages.iter().map(stage).collect(),
    })
}

fn probe(p: &ProbeRecord) -> ProbeSummary<'_> {
    ProbeSummary {
        index: p.index,
        purpose: p.purpose,
        level: p.level,
        arrived_from: p.arrived_from,
        start_s: p.start_s,
        ramp_s: p.ramp_s,
        settle_s: p.settle_s,
        hold_s: p.hold_s,
        settled: p.settled,
        end: p.end,
        verdict: p.verdict,
        reason: &p.reason,
        objectives: &p.objectives,
        throughput_per_s: p.throughput_per_s,
        steps: p.steps.iter().map(step).collect(),
        log: &p.log,
        exchanges: &p.exchanges,
        limiting_resource: &p.limiting_resource,
        other_causes: &p.other_causes,
        estimate: p.estimate,
    }
}

fn stage(s: &StageRecord) -> Stage<'_> {
    Stage {
        index: s.index,
        asked: s.asked,
        measured_s: s.measured_s,
        mean_level: s.mean_level,
        vus_reached: s.vus_reached,
        end: s.end,
        verdict: s.verdict,
        reason: &s.reason,
        objectives: &s.objectives,
        throughput_per_s: s.throughput_per_s,
        steps: s.steps.iter().map(step).collect(),
        exchanges: &s.exchanges,
        limiting_resource: &s.limiting_resource,
        other_causes: &s.other_causes,
    }
}

fn step(s: &StepRecord) -> StepSummary<'_> {
    let quantile = |q| s.latency.quantile_s(q).filter(|v: &f64| v.is_finite());
    StepSummary {
        name: &s.step,
        completed: s.completed,
        failed: &s.failed,
        failures: &s.failures,
        shed: s.shed,
        in_flight: s.in_flight,
        oldest_in_flight_s: s.oldest_in_flight_s,
        p50_s: quantile(0.5),
        p95_s: quantile(0.95),
        p99_s: quantile(0.99),
        max_s: s.latency.max_s().filter(|v| v.is_finite()),
    }
}
