use super::*;
use crate::record::Band as Interval;
use crate::samples;
use scene::Shape;

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
fn errors_stand_above_where_the_slo_is_of_them_alone() {
    let mut record = samples::found();
    let place = |record: &RunRecord, of: &str| {
        let scene = throughput::chart(record);
        let text = scene.texts().position(|t| t.words.starts_with(of));
        text.unwrap()
    };
    let below = |record: &RunRecord| place(record, "throughput, ") < place(record, "share of ");
    assert!(below(&record));
    record.slo = vec!["errors<1%".to_owned()];
    assert!(!below(&record));
    let scene = throughput::chart(&record);
    assert!(scene.texts().any(|t| t.words == "SLO 1 %"));
    let spoiled = scene.spoiled_labels();
    assert!(spoiled.is_empty(), "{spoiled:#?}");
    let page = crate::report::page::of_run(&record);
    let charts = page.sections.iter().find(|s| s.title == "Charts").unwrap();
    let super::super::page::Part::Charts(charts) = &charts.parts[0] else {
        panic!("no charts");
    };
    assert_eq!(charts[0].title, "Errors, sheds and throughput");
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
        probe.estimate = Some(Interval::from((odd, odd, odd)));
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

/// Lines of the fit's colour that only go to the right: no rings.
fn curves(scene: &Scene) -> Vec<Vec<(f64, f64)>> {
    let to_the_right = |points: &[(f64, f64)]| points.windows(2).all(|p| p[0].0 < p[1].0);
    let lines = scene.shapes.iter().filter_map(|s| match s {
        Shape::Line(points, _, PURPLE) if points.len() > 2 && to_the_right(points) => Some(points),
        _ => None,
    });
    lines.cloned().collect()
}

#[test]
fn a_fit_is_drawn_with_its_band_where_there_is_one_and_within_the_plot() {
    let has_key = |scene: &Scene| {
        scene
            .texts()
            .any(|t| t.words == "fit near the breakpoint, 95 % band")
    };
    let record = samples::fitted();
    for draw in [latency::chart, throughput::chart] {
        let scene = draw(&record);
        assert!(has_key(&scene));
        let drawn = curves(&scene);
        assert!(!drawn.is_empty());
        // The band reaches far above the chart: what lies there is left out.
        for (x, y) in drawn.iter().flatten() {
            assert!(
                (100.0..WIDTH).contains(x) && (188.0..HEIGHT).contains(y),
                "{x} {y}"
            );
        }
        let bare = draw(&samples::found());
        assert!(!has_key(&bare) && curves(&bare).is_empty());
    }
    let mut strange = record;
    for curve in &mut strange.answer.curves {
        curve.objective = 7;
    }
    assert!(!has_key(&latency::chart(&strange)));
    assert!(!has_key(&throughput::chart(&strange)));
}

#[test]
fn what_was_noticed_is_named_once_per_kind() {
    let scene = search::chart(&samples::fitted());
    for label in [
        "capacity grew",
        "warmed up",
        "random events",
        "carried by burst credit",
    ] {
        let named = scene.texts().filter(|t| t.words == label).count();
        assert_eq!(named, 1, "{label}");
    }
}

#[test]
fn an_interval_without_a_number_has_its_ends_beside_the_search() {
    let scene = search::chart(&samples::bracketed());
    for end in ["59", "83"] {
        let bold = |t: &&scene::TextLine| t.words == end && t.bold;
        assert!(scene.texts().any(|t| bold(&t)), "{end}");
    }
}

#[test]
fn odd_curves_and_times_do_not_break_a_chart() {
    let mut record = samples::fitted();
    for curve in &mut record.answer.curves {
        for (i, point) in curve.points.iter_mut().enumerate() {
            let odd = [f64::NAN, f64::INFINITY, 0.0, -1.0][i % 4];
            (point.band.low, point.band.estimate) = (odd, odd);
        }
    }
    for (i, noticed) in record.answer.noticed.iter_mut().enumerate() {
        noticed.from_s = [f64::NAN, f64::NEG_INFINITY, -5.0, 1e9, 9.0][i % 5];
    }
    for (_, draw) in CHARTS {
        draw(&record).to_png().unwrap();
    }
}
