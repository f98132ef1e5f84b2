//! The tables of a ramp: a row per stage, a row per second.

use super::{
    Field, Measured, ReportError, end_name, measured_header, monitor_fields, number, owned,
    second_cells, second_header, write,
};
use crate::record::{RampRecord, RampSecond, StageRecord};

/// A row per stage.
pub(in crate::report) fn stages(record: &RampRecord) -> Result<Vec<u8>, ReportError> {
    let fields = fields(record);
    let mut header = owned(&[
        "profile",
        "stage",
        "from",
        "to",
        "start_s",
        "lasts_s",
        "measured_s",
        "mean_level",
        "vus_reached",
        "verdict",
        "end",
    ]);
    header.extend(measured_header(&record.slo, &fields));
    header.extend(owned(&["limiting_resource", "reason"]));
    let rows = record.stages.iter();
    write(header, rows.map(|stage| stage_row(record, stage, &fields)))
}

/// A row per second.
pub(in crate::report) fn seconds(record: &RampRecord) -> Result<Vec<u8>, ReportError> {
    let fields = fields(record);
    let mut header = owned(&["profile", "stage", "t_s"]);
    header.push(format!("{}_asked", record.plan.unit.column()));
    header.push("vus".to_owned());
    header.extend(second_header(&record.plan, &fields));
    let rows = record.stages.iter().flat_map(|stage| {
        let seconds = stage.seconds.iter();
        seconds.map(|second| second_row(record, stage, second, &fields))
    });
    write(header, rows)
}

fn fields(record: &RampRecord) -> Vec<Field> {
    let seconds = record.stages.iter().flat_map(|s| &s.seconds);
    monitor_fields(seconds.map(|s| &s.seen))
}

/// Stages are counted from 1, as on the terminal.
fn number_of(stage: &StageRecord) -> String {
    (stage.index + 1).to_string()
}

fn stage_row(record: &RampRecord, stage: &StageRecord, fields: &[Field]) -> Vec<String> {
    let measured = Measured {
        slo: &record.slo,
        objectives: &stage.objectives,
        main: stage.steps.get(record.plan.main_step),
        cycle: stage.overall(),
        steps: &stage.steps,
        throughput_per_s: stage.throughput_per_s,
        seconds: stage.seconds.iter().map(|s| &s.seen).collect(),
    };
    let mut row = vec![
        record.profile.clone(),
        number_of(stage),
        stage.asked.from.get().to_string(),
        stage.asked.to.get().to_string(),
        number(Some(stage.asked.start_s)),
        number(Some(stage.asked.lasts_s)),
        number(Some(stage.measured_s)),
        number(Some(stage.mean_level)),
        stage.vus_reached.to_string(),
        stage.verdict.to_string(),
        end_name(stage.end).to_owned(),
    ];
    row.extend(measured.cells(fields));
    let cause = stage.limiting_resource.as_ref();
    row.push(cause.map_or_else(String::new, |c| c.resource.clone()));
    row.push(stage.reason.clone());
    row
}

fn second_row(
    record: &RampRecord,
    stage: &StageRecord,
    second: &RampSecond,
    fields: &[Field],
) -> Vec<String> {
    let mut row = vec![
        record.profile.clone(),
        number_of(stage),
        number(Some(second.seen.t_s)),
        second.level.get().to_string(),
        second.seen.vus.to_string(),
    ];
    row.extend(second_cells(&record.plan, &second.seen, fields));
    row
}
