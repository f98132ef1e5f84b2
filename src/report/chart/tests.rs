use super::*;
use crate::samples;

type Chart = fn(&RunRecord) -> Scene;

const CHARTS: [(&str, Chart); 4] = [
    ("latency", latency::chart),
    ("search", search::chart),
    ("throughput", throughput::chart),
    ("resources", resources::chart),
];

#[test]
fn no_label_overlaps_another_or_leaves_the_picture() {
    for (name, record) in samples::all() {
        for (chart, draw) in CHARTS {
            let spoiled = draw(&record).spoiled_labels();
            assert!(spoiled.is_empty(), "{chart} of {name}: {spoiled:#?}");
        }
    }
}

#[test]
fn long_names_are_cut_and_do_not_spoil_a_chart() {
    let mut record = samples::found();
    record.profile = "a-profile-with-a-very-long-name".repeat(8);
    record.slo = vec!["p99(answer)<2s".to_owned(); 40];
    for (chart, draw) in CHARTS {
        assert_eq!(
            draw(&record).spoiled_labels(),
            Vec::<String>::new(),
            "{chart}"
        );
    }
}

#[test]
fn the_answer_stands_in_every_title() {
    let record = samples::found();
    for (chart, draw) in CHARTS {
        let scene = draw(&record);
        let title = scene.texts().next().unwrap();
        assert_eq!(
            title.words, "gateway-512mb: breakpoint 1 184 VUs (95 % CI 1 150 – 1 215)",
            "{chart}"
        );
    }
}

#[test]
fn odd_numbers_do_not_break_a_chart() {
    let mut record = samples::found();
    for (i, probe) in record.probes.iter_mut().enumerate() {
        let odd = [f64::NAN, f64::INFINITY, 0.0, -1.0][i % 4];
        probe.throughput_per_s = Some(odd);
        probe.estimate = Some((odd, odd, odd));
        probe.objectives[0].observed = Some(odd);
        probe.hold_s = if i == 3 { 0.0 } else { probe.hold_s };
        for second in &mut probe.seconds {
            second.generator.cpu_cores = Some(odd);
            for reading in &mut second.readings {
                reading.value = Some(odd);
            }
        }
    }
    for (_, draw) in CHARTS {
        draw(&record).to_png().unwrap();
    }
}

#[test]
fn no_label_of_a_ramp_overlaps_another_or_leaves_the_picture() {
    for (name, mut record) in samples::ramps() {
        assert_eq!(
            ramp::chart(&record).spoiled_labels(),
            Vec::<String>::new(),
            "{name}"
        );
        record.profile = "a-profile-with-a-very-long-name".repeat(8);
        record.slo = vec!["p99(answer)<2s".to_owned(); 40];
        assert_eq!(
            ramp::chart(&record).spoiled_labels(),
            Vec::<String>::new(),
            "{name}"
        );
    }
}

#[test]
fn odd_numbers_do_not_break_the_chart_of_a_ramp() {
    let mut record = samples::ramp();
    let seconds = record.stages.iter_mut().flat_map(|s| &mut s.seconds);
    for (i, second) in seconds.enumerate() {
        let odd = [f64::NAN, f64::INFINITY, 0.0, -1.0][i % 4];
        second.seen.t_s = odd;
        second.seen.span_s = odd;
        for reading in &mut second.seen.readings {
            reading.value = Some(odd);
        }
        for step in &mut second.seen.steps {
            step.oldest_in_flight_s = Some(odd);
        }
    }
    ramp::chart(&record).to_png().unwrap();
}
