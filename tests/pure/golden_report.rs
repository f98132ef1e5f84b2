//! Reports from fixed records: what a reader of the files relies on.
//!
//! After a change on purpose, `UPDATE_GOLDEN=1 cargo test --test pure golden` writes the expected
//! files again; read the difference before committing it.

use std::path::Path;

use breakpoint::compare::{self, Condition, Design, Named};
use breakpoint::record::{Band, CompareRecord, Difference, LogRecord, RampRecord, RunRecord};
use breakpoint::report::{
    self, CompareFormat, Format, OutputFormat, RampFormat, RenderedRecord as _, ReportError,
};

#[path = "../records/mod.rs"]
mod records;

fn golden(name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    let want = std::fs::read(&path).unwrap();
    assert_eq!(
        String::from_utf8_lossy(bytes),
        String::from_utf8_lossy(&want),
        "{name} changed"
    );
}

#[test]
fn the_tables_are_as_agreed() {
    let record = records::small();
    for format in [Format::Holds, Format::Samples, Format::Log] {
        golden(
            format.file_name(record.plan.unit),
            &format.render(&record).unwrap(),
        );
    }
}

#[test]
fn every_ending_has_its_own_words() {
    let mut text = Vec::new();
    for (name, record) in records::all() {
        text.extend(format!("--- {name}\n{}\n", report::summary(&record)).into_bytes());
    }
    golden("summaries.txt", &text);
}

#[test]
fn a_record_reads_back_exactly() {
    for (name, record) in records::all() {
        let json = Format::Json.render(&record).unwrap();
        assert_eq!(report::read(&json).unwrap(), record, "{name}");
    }
}

#[test]
fn the_json_has_the_agreed_names_and_a_line_per_second() {
    let record = records::small();
    let json = String::from_utf8(Format::Json.render(&record).unwrap()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    for key in ["schema_version", "profile", "slo", "answer", "probes"] {
        assert!(value.get(key).is_some(), "{key}");
    }
    for key in [
        "ending",
        "breakpoint",
        "ci_low",
        "ci_high",
        "confidence",
        "last_held",
        "first_broke",
        "broken_objective",
        "limiting_resource",
    ] {
        assert!(value["answer"].get(key).is_some(), "{key}");
    }
    let seconds: usize = record.probes.iter().map(|p| p.seconds.len()).sum();
    let lines = |part: &str| json.lines().filter(|l| l.trim().starts_with(part)).count();
    assert_eq!(lines("{\"t_s\": "), seconds);
    assert_eq!(lines("{\"step\": "), 4 * record.probes.len());
    assert!(json.lines().all(|l| !l.ends_with(' ')));
}

#[test]
fn a_number_that_is_not_finite_never_reaches_a_file() {
    let mut record = records::small();
    record.probes[0].throughput_per_s = Some(f64::NAN);
    record.probes[0].estimate = Some(Band::from((1.0, f64::INFINITY, 2.0)));
    record.probes[1].seconds[0].readings[0].value = Some(f64::NEG_INFINITY);
    record.answer.distribution = vec![(f64::NAN, 0.5), (3.0, 0.75)];
    let back = report::read(&Format::Json.render(&record).unwrap()).unwrap();
    assert_eq!(back.probes[0].throughput_per_s, None);
    assert_eq!(back.probes[0].estimate, None);
    assert_eq!(back.answer.distribution, [(3.0, 0.75)]);
    for format in [Format::Holds, Format::Samples] {
        let table = String::from_utf8(format.render(&record).unwrap()).unwrap();
        assert!(!table.contains("NaN") && !table.contains("inf"), "{table}");
    }
    record.plan.think_s = f64::NAN;
    let error = Format::Json.render(&record).unwrap_err().to_string();
    assert!(error.contains("plan.think_s"), "{error}");
}

#[test]
fn an_unreadable_result_says_what_is_wrong_with_it() {
    let json = Format::Json.render(&records::small()).unwrap();
    let read = |bytes: &[u8]| report::read(bytes).unwrap_err();
    for cut in [0, 1, json.len() / 2, json.len() - 3] {
        assert!(
            matches!(read(&json[..cut]), ReportError::Truncated { .. }),
            "{cut}"
        );
    }
    assert!(matches!(read(b"profile,probe"), ReportError::NotAResult(_)));
    assert!(matches!(read(b"{}"), ReportError::NotAResult(_)));
    let text = String::from_utf8(json).unwrap();
    let newer = text.replacen("\"schema_version\": 3", "\"schema_version\": 9", 1);
    assert_eq!(
        read(newer.as_bytes()).to_string(),
        "the result has schema version 9, and this breakpoint reads versions 1 to 3; use the \
         breakpoint that wrote it (0.1.0)"
    );
}

/// Width and height from a PNG's header.
fn size(png: &[u8]) -> (u32, u32) {
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn every_record_gives_every_report() {
    for (name, record) in records::all() {
        let artifacts = report::render(&record).unwrap();
        assert_eq!(artifacts.len(), Format::of(&record).count());
        let charts = artifacts.iter().filter(|a| a.bytes.starts_with(b"\x89PNG"));
        assert_eq!(charts.clone().count(), 4, "{name}");
        for chart in charts {
            assert_eq!(size(&chart.bytes), (1920, 1200), "{} of {name}", chart.name);
        }
    }
}

#[test]
fn an_engine_that_knows_requests_only_is_told_of_in_requests() {
    let mut run = records::found();
    let mut ramp = records::ramp();
    for plan in [&mut run.plan, &mut ramp.plan] {
        *plan.steps.last_mut().unwrap() = "requests".to_owned();
    }
    let page = report::Format::Html.render(&run).unwrap();
    let ramp_page = RampFormat::Html.render(&ramp).unwrap();
    for text in [
        report::summary(&run),
        report::ramp_summary(&ramp),
        String::from_utf8(page).unwrap(),
        String::from_utf8(ramp_page).unwrap(),
    ] {
        assert!(text.contains("requests/s"), "{text}");
        assert!(
            !text.contains("cycles/s") && !text.contains("cycles per second"),
            "{text}"
        );
    }
}

#[test]
fn the_same_record_gives_the_same_bytes() {
    let render = |record: &RunRecord| report::render(record).unwrap();
    let record = records::found();
    let again = report::read(&Format::Json.render(&record).unwrap()).unwrap();
    assert!(render(&record) == render(&again), "a report differs");
}

#[test]
fn the_end_tells_the_time_that_was_told_before() {
    let mut record = records::found();
    assert!(!report::summary(&record).contains("\ntime "));
    record.plan.longest_s = Some(1542.0);
    let said = report::summary(&record);
    let line = said.lines().find(|l| l.starts_with("time ")).unwrap();
    assert!(line.ends_with(" of at most 25 min 42 s"), "{line}");
    let markdown = record.output(OutputFormat::Markdown).unwrap();
    let markdown = String::from_utf8(markdown).unwrap();
    assert!(markdown.contains("of at most 25 min 42 s"), "{markdown}");
}

#[test]
fn errors_come_first_where_the_slo_is_of_them_alone() {
    let mut record = records::found();
    let columns = |record: &RunRecord| {
        let markdown = record.output(OutputFormat::Markdown).unwrap();
        let markdown = String::from_utf8(markdown).unwrap();
        let head = markdown
            .lines()
            .find(|l| l.starts_with("| probe | purpose"));
        let head = head.unwrap().to_owned();
        (head.find("| errors |"), head.find("| median |"))
    };
    let (errors, median) = columns(&record);
    assert!(errors.unwrap() > median.unwrap());
    record.slo = vec!["errors<1%".to_owned()];
    let (errors, median) = columns(&record);
    assert!(errors.unwrap() < median.unwrap());
}

#[test]
fn an_interval_without_a_number_and_what_was_noticed_are_in_every_report() {
    let text =
        |record: &RunRecord, format| String::from_utf8(record.output(format).unwrap()).unwrap();
    let bracketed = records::bracketed();
    let page = as_read(&text(&bracketed, OutputFormat::Html));
    for part in [
        "Breakpoint between",
        "class=\"number\">59 – 83<",
        "95 % CI; the search was too short for a single number",
        "a pause of 3 s every 5 min would not have been seen",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let markdown = text(&bracketed, OutputFormat::Markdown);
    assert!(markdown.starts_with("# gateway-512mb: breakpoint between 59 and 83 VUs (95 % CI)"));
    let junit = text(&bracketed, OutputFormat::Junit);
    assert!(junit.contains("failures=\"0\" errors=\"0\""), "{junit}");
    assert!(!junit.contains("property name=\"breakpoint\"") && junit.contains("name=\"ci_low\""));
    let fitted = records::fitted();
    let markdown = text(&fitted, OutputFormat::Markdown);
    assert!(markdown.contains("warmed up (0 s to 95 s)"), "{markdown}");
    assert!(
        markdown.contains("| warm\\_up | 10 | ◆ not judged |"),
        "{markdown}"
    );
    let junit = text(&fitted, OutputFormat::Junit);
    assert!(junit.contains("name=\"noticed\" value=\"warmed up (0 s to 95 s)"));
    assert!(junit.contains("name=\"unseen\" value=\"a pause of 3 s"));
}

#[test]
#[ignore = "writes pictures to look at: cargo test --test pure pictures -- --ignored"]
fn pictures_to_look_at() {
    for (name, record) in records::all() {
        let dir = std::env::temp_dir().join("breakpoint-pictures").join(name);
        std::fs::create_dir_all(&dir).unwrap();
        for artifact in report::render(&record).unwrap() {
            std::fs::write(dir.join(artifact.name), artifact.bytes).unwrap();
        }
    }
    for (name, record) in records::ramps() {
        let dir = std::env::temp_dir()
            .join("breakpoint-pictures")
            .join(format!("ramp-{name}"));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(
            dir.join("ramp.png"),
            RampFormat::Chart.render(&record).unwrap(),
        )
        .unwrap();
    }
    for (name, record) in comparisons() {
        let dir = std::env::temp_dir()
            .join("breakpoint-pictures")
            .join("compare");
        std::fs::create_dir_all(&dir).unwrap();
        let chart = CompareFormat::Chart.render(&record).unwrap();
        std::fs::write(dir.join(format!("{name}.png")), chart).unwrap();
    }
}

#[test]
fn a_result_of_the_first_schema_reads_as_one_of_today() {
    let record = records::small();
    let text = String::from_utf8(Format::Json.render(&record).unwrap()).unwrap();
    let mut old = text.replacen("\"schema_version\": 3", "\"schema_version\": 1", 1);
    for (today, then) in [
        ("\"breakpoint\":", "\"breakpoint_vus\":"),
        ("\"knee\":", "\"knee_vus\":"),
        ("\"level\":", "\"vus\":"),
        ("\"min_level\":", "\"min_vus\":"),
        ("\"max_level\":", "\"max_vus\":"),
        ("\"unit\": \"vus\",", ""),
        ("\"arrivals\": null,", ""),
    ] {
        assert!(old.contains(today), "{today}");
        old = old.replace(today, then);
    }
    let read = report::read(old.as_bytes()).unwrap();
    assert_eq!(read, record);
    for format in OutputFormat::ALL {
        let (old, new) = (read.output(format).unwrap(), record.output(format).unwrap());
        assert!(old == new && !old.is_empty(), "{format:?}");
    }
}

/// One in which much is to be told.
fn gated() -> RunRecord {
    let mut record = records::crashed();
    record.probes.drain(3..18);
    record.probes[4].log = records::small().probes.remove(2).log;
    record.plan.required = Some(1000);
    record.plan.command = ["find", "gateway-512mb", "--slo", "p99(answer)<2s"]
        .map(str::to_owned)
        .to_vec();
    record.warnings = vec!["the host was busy with something else".to_owned()];
    record
}

#[test]
fn the_report_says_it_all_in_markdown_as_tests_and_for_programs() {
    let record = gated();
    for (name, format) in [
        ("report.md", OutputFormat::Markdown),
        ("junit.xml", OutputFormat::Junit),
        ("holds-excel.csv", OutputFormat::Excel),
        ("answer.json", OutputFormat::Json),
        ("github.txt", OutputFormat::Github),
    ] {
        golden(name, &record.output(format).unwrap());
    }
    let ramp = records::ramp_interrupted();
    golden("ramp.md", &ramp.output(OutputFormat::Markdown).unwrap());
    golden("ramp-junit.xml", &ramp.output(OutputFormat::Junit).unwrap());
}

/// A page as it is read: without what holds the digits of a number together.
fn as_read(page: &str) -> String {
    let mut parts = page.split("<span class=\"whole\">");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |read, part| read + &part.replacen("</span>", "", 1))
}

#[test]
fn the_page_asks_nothing_of_a_network_and_has_the_answer_first() {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let page = text(gated().output(OutputFormat::Html).unwrap());
    for outside in [
        "http-equiv=\"refresh",
        "src=",
        "@import",
        "url(",
        "<iframe",
        "<form",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
    let links: Vec<&str> = page.matches("href=").collect();
    assert_eq!(links.len(), 1, "the empty icon");
    assert!(page.contains("default-src 'none'"));
    assert!(page.contains("<span class=\"whole\">1 010</span>"));
    let page = as_read(page.split_once("<body>").unwrap().1);
    let at = |what: &str| page.find(what).unwrap_or_else(|| panic!("no {what}"));
    let order = [
        "class=\"number\">1 010<",
        "95 % CI 986 – 1 031",
        "<code>p99(answer)&lt;2s</code>",
        "not proven to reach the required 1 000 VUs",
        "1 % above the 1 000 VUs required",
        "OOM-killed once (certain)",
        "Last held, first broke",
        "<svg role=\"img\"",
        "Every probe",
        "the host was busy",
        "Imaginary CPU",
        "breakpoint find gateway-512mb --slo &#39;p99(answer)&lt;2s&#39;",
    ];
    assert!(order.windows(2).all(|w| at(w[0]) < at(w[1])), "{order:?}");
    let ramp = text(records::ramp().output(OutputFormat::Html).unwrap());
    assert!(ramp.contains("Every stage") && ramp.matches("<svg ").count() == 1);
    for (name, record) in records::all() {
        let page = text(record.output(OutputFormat::Html).unwrap());
        assert!(page.contains("class=\"number\""), "{name}");
    }
}

const HOSTILE: &str = "</script><script>x()</script><img src=x onerror=x()>\"'><b>*_|\n## no \
    heading\n::error::x\u{202e}\u{1b}[31m\0";

/// Everything that others write is hostile.
fn hostile() -> (RunRecord, RampRecord) {
    let mut record = gated();
    let text = || HOSTILE.to_owned();
    record.profile = text();
    record.started_at = text();
    record.slo.push(text());
    record.warnings.push(text());
    record.answer.reason = text();
    record.plan.target = text();
    record.plan.steps[0] = text();
    record.plan.command.push(text());
    record.plan.limits[0].monitor = text();
    record.environment.kernel = text();
    record.environment.cpu_model = Some(text());
    if let Some(cause) = &mut record.answer.limiting_resource {
        cause.resource = text();
        cause.evidence = text();
    }
    if let Some(visit) = &mut record.answer.first_broke {
        visit.observed = text();
    }
    for probe in &mut record.probes {
        probe.reason = text();
        for exchange in &mut probe.exchanges {
            (exchange.step, exchange.text) = (text(), text());
        }
        for way in probe.steps.iter_mut().flat_map(|s| &mut s.failures) {
            (way.message, way.excerpt, way.request) = (text(), text(), Some(text()));
        }
        probe.log.push(LogRecord {
            at_s: probe.start_s,
            monitor: text(),
            text: text(),
        });
    }
    let mut ramp = records::ramp();
    ramp.profile = text();
    ramp.reason = text();
    ramp.warnings.push(text());
    ramp.stages[1].reason = text();
    (record, ramp)
}

/// A comparison in which everything that others write is hostile.
fn hostile_comparison() -> CompareRecord {
    let mut record = told();
    let text = || HOSTILE.to_owned();
    record.slo.push(text());
    record.made_at = text();
    record.step = text();
    record.notes.push(text());
    for run in &mut record.runs {
        run.name = text();
        run.profile = text();
        run.started_at = text();
    }
    for gate in &mut record.gates {
        gate.condition = text();
        gate.candidate = text();
        gate.reason = text();
    }
    let comparison = &mut record.comparisons[0];
    comparison.base = text();
    comparison.candidate = text();
    comparison.differences[0] = Difference {
        what: text(),
        base: text(),
        candidate: text(),
    };
    for change in &mut comparison.changes {
        change.reason = text();
    }
    if let Some(cause) = &mut comparison.limited_now {
        cause.resource = text();
        cause.evidence = text();
    }
    let limited = &comparison.limited_now;
    record.runs[1].limiting_resource.clone_from(limited);
    // As the first column of a table, and among several.
    record.comparisons.push(record.comparisons[0].clone());
    record
}

#[test]
fn text_of_others_stays_text() {
    let (run, ramp) = hostile();
    let several = hostile_comparison();
    let mut one = several.clone();
    one.comparisons.truncate(1);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    for (page, whose) in [
        (text(run.output(OutputFormat::Html).unwrap()), "run"),
        (text(ramp.output(OutputFormat::Html).unwrap()), "ramp"),
        (text(one.output(OutputFormat::Html).unwrap()), "comparison"),
        (
            text(several.output(OutputFormat::Html).unwrap()),
            "comparisons",
        ),
    ] {
        assert_eq!(page.matches("<script").count(), 1, "{whose}");
        assert_eq!(page.matches("</script").count(), 1, "{whose}");
        for tag in ["<img", "<b>", "\u{202e}", "\u{1b}", "\0"] {
            assert!(!page.contains(tag), "{whose}: {tag:?}");
        }
    }
    for page in [
        text(run.output(OutputFormat::Markdown).unwrap()),
        text(ramp.output(OutputFormat::Markdown).unwrap()),
        text(one.output(OutputFormat::Markdown).unwrap()),
        text(several.output(OutputFormat::Markdown).unwrap()),
    ] {
        // What is left of them stands in code.
        let bare: String = page.split('`').step_by(2).collect();
        assert!(
            !bare.contains("<img") && !bare.contains("<script"),
            "{bare}"
        );
        assert!(
            !page.lines().any(|l| l.starts_with("## no heading")),
            "{page}"
        );
    }
    for log in [
        text(run.output(OutputFormat::Github).unwrap()),
        text(ramp.output(OutputFormat::Github).unwrap()),
        text(one.output(OutputFormat::Github).unwrap()),
        text(several.output(OutputFormat::Github).unwrap()),
        run.annotations(),
    ] {
        let commands = log.lines().filter(|l| l.trim_start().starts_with("::"));
        let ours = |l: &str| l.contains(" title=breakpoint ");
        assert!(
            commands.clone().count() > 0 && commands.into_iter().all(ours),
            "{log}"
        );
    }
    for xml in [
        text(run.output(OutputFormat::Junit).unwrap()),
        text(ramp.output(OutputFormat::Junit).unwrap()),
        text(one.output(OutputFormat::Junit).unwrap()),
        text(several.output(OutputFormat::Junit).unwrap()),
    ] {
        assert!(!xml.contains("<img") && !xml.contains("<b>"), "{xml}");
    }
    for table in [
        text(run.output(OutputFormat::Excel).unwrap()),
        text(several.output(OutputFormat::Excel).unwrap()),
    ] {
        assert!(!table.contains('\0'), "{table}");
    }
}

#[test]
fn the_tables_of_a_ramp_are_as_agreed() {
    let record = records::ramp_interrupted();
    for format in [RampFormat::Stages, RampFormat::Seconds] {
        golden(format.file_name(), &format.render(&record).unwrap());
    }
    let record = records::ramp();
    let log = RampFormat::Log.render(&record).unwrap();
    let line = "at_s,stage,monitor,text\n31,2,gateway,gateway ended with exit code 137\n";
    assert_eq!(String::from_utf8(log).unwrap(), line);
    let page = String::from_utf8(record.output(OutputFormat::Markdown).unwrap()).unwrap();
    assert!(page.contains("## Logs") && page.contains("gateway: gateway ended with exit code 137"));
    let mut silent = record;
    silent.stages.iter_mut().for_each(|s| s.log.clear());
    assert!(RampFormat::of(&silent).all(|format| format != RampFormat::Log));
}

#[test]
fn every_end_of_a_ramp_has_its_own_words() {
    let mut text = Vec::new();
    for (name, record) in records::ramps() {
        text.extend(format!("--- {name}\n{}\n", report::ramp_summary(&record)).into_bytes());
    }
    golden("ramps.txt", &text);
}

#[test]
fn a_ramp_reads_back_exactly_and_gives_every_file() {
    for (name, record) in records::ramps() {
        let json = RampFormat::Json.render(&record).unwrap();
        assert_eq!(report::read_ramp(&json).unwrap(), record, "{name}");
        let chart = RampFormat::Chart.render(&record).unwrap();
        assert_eq!(size(&chart), (1920, 1200), "{name}");
    }
    // A second takes a line.
    let record = records::ramp();
    let json = String::from_utf8(RampFormat::Json.render(&record).unwrap()).unwrap();
    let seconds: usize = record.stages.iter().map(|s| s.seconds.len()).sum();
    let lines = json
        .lines()
        .filter(|l| l.contains("\"t_s\": ") && l.contains("\"vus\": "));
    assert_eq!(lines.count(), seconds);
}

#[test]
fn a_ramp_that_cannot_be_read_or_written_says_why() {
    let json = RampFormat::Json.render(&records::ramp_down()).unwrap();
    let text = String::from_utf8(json).unwrap();
    let newer = text.replacen("\"schema_version\": 1", "\"schema_version\": 9", 1);
    let error = report::read_ramp(newer.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("reads versions 1 to 1"), "{error}");
    let mut record = records::ramp();
    record.stages[1].throughput_per_s = Some(f64::NAN);
    record.stages[1].seconds[0].seen.readings[0].value = Some(f64::INFINITY);
    let back = report::read_ramp(&RampFormat::Json.render(&record).unwrap()).unwrap();
    assert_eq!(back.stages[1].throughput_per_s, None);
    record.stages[1].mean_level = f64::NAN;
    let error = RampFormat::Json.render(&record).unwrap_err().to_string();
    assert!(error.contains("stages[1].mean_level"), "{error}");
}

/// A run of the samples with its breakpoint times a factor.
fn moved(name: &str, factor: f64, size: f64) -> Named {
    let mut record = records::found();
    let whole = |v: u32| breakpoint::measure::Level::nearest(f64::from(v) * factor).get();
    let answer = &mut record.answer;
    answer.breakpoint = answer.breakpoint.map(whole);
    answer.ci_low = answer.ci_low.map(whole);
    answer.ci_high = answer.ci_high.map(whole);
    for (level, _) in &mut answer.distribution {
        *level *= factor;
    }
    Named {
        name: name.to_owned(),
        record,
        size: Some(size),
    }
}

fn named(name: &str, record: RunRecord) -> Named {
    Named {
        name: name.to_owned(),
        record,
        size: None,
    }
}

/// Comparisons of every kind, by name.
fn comparisons() -> Vec<(&'static str, CompareRecord)> {
    let made = || "2026-11-25T12:00:00Z".to_owned();
    let gates: Vec<Condition> = ["breakpoint<-5%", "p99>+20%"]
        .map(|c| c.parse().unwrap())
        .to_vec();
    let each =
        |runs: &[Named]| compare::compare(runs, &Design::EachWithFirst, &gates, made()).unwrap();
    let one = |n| moved("one", 1.0, n);
    vec![
        ("no change", each(&[one(1.0), one(1.0)])),
        (
            "another run",
            each(&[one(1.0), named("crashed", records::crashed())]),
        ),
        (
            "several",
            each(&[
                one(1.0),
                moved("faster", 1.2, 2.0),
                moved("slower", 0.8, 1.0),
            ]),
        ),
        (
            "one bound",
            each(&[one(1.0), named("roomy", records::never_broke())]),
        ),
        (
            "cannot say",
            each(&[one(1.0), named("stopped", records::interrupted())]),
        ),
        (
            "pairs",
            compare::compare(
                &[
                    one(1.0),
                    moved("faster", 1.1, 1.0),
                    moved("faster", 1.1, 1.0),
                    one(1.0),
                ],
                &Design::Pairs(vec![(0, 1), (3, 2)]),
                &gates,
                made(),
            )
            .unwrap(),
        ),
        (
            "sizes",
            compare::compare(
                &[
                    one(1.0),
                    moved("two", 1.85, 2.0),
                    moved("four", 3.1, 4.0),
                    moved("eight", 4.2, 8.0),
                ],
                &Design::Sizes,
                &[],
                made(),
            )
            .unwrap(),
        ),
    ]
}

#[test]
fn every_comparison_has_its_own_words() {
    let mut text = Vec::new();
    for (name, record) in comparisons() {
        text.extend(format!("--- {name}\n{}\n", report::compare_summary(&record)).into_bytes());
    }
    golden("comparisons.txt", &text);
}

#[test]
fn the_tables_of_a_comparison_are_as_agreed() {
    for (name, file, format) in [
        ("several", "compare.csv", CompareFormat::Changes),
        ("sizes", "scaling.csv", CompareFormat::Scaling),
    ] {
        let all = comparisons();
        let (_, record) = all.iter().find(|(n, _)| *n == name).unwrap();
        golden(file, &format.render(record).unwrap());
    }
}

/// The comparison of this name.
fn comparison(name: &str) -> CompareRecord {
    let mut all = comparisons().into_iter();
    all.find(|(n, _)| *n == name).unwrap().1
}

/// One in which much is to be told.
fn told() -> CompareRecord {
    let mut record = comparison("another run");
    record.comparisons[0].differences = vec![
        Difference {
            what: "think time".to_owned(),
            base: "20 s".to_owned(),
            candidate: "25 s".to_owned(),
        },
        Difference {
            what: "limit gateway.memory".to_owned(),
            base: String::new(),
            candidate: "512 MiB".to_owned(),
        },
    ];
    record.notes = vec!["before: of its 2 runs the newest is taken".to_owned()];
    record
}

#[test]
fn a_comparison_says_it_all_in_markdown_as_tests_and_for_programs() {
    let record = told();
    for (name, format) in [
        ("compare.md", OutputFormat::Markdown),
        ("compare-junit.xml", OutputFormat::Junit),
        ("compare-excel.csv", OutputFormat::Excel),
        ("compare-github.txt", OutputFormat::Github),
    ] {
        golden(name, &record.output(format).unwrap());
    }
    // Several candidates, pairs, nothing to compare, and a law each have words of their own.
    for (name, file) in [
        ("several", "compare-several.md"),
        ("pairs", "compare-pairs.md"),
        ("sizes", "scaling.md"),
    ] {
        golden(
            file,
            &comparison(name).output(OutputFormat::Markdown).unwrap(),
        );
    }
    // The record is short enough for programs.
    let json = CompareFormat::Json.render(&record).unwrap();
    assert_eq!(record.output(OutputFormat::Json).unwrap(), json);
    let scaled = comparison("sizes").output(OutputFormat::Csv).unwrap();
    assert!(scaled.starts_with(b"kind,size,"));
}

#[test]
fn what_junit_says_of_a_comparison_is_what_its_exit_code_says() {
    for (name, mut record) in comparisons() {
        for gates in [true, false] {
            if !gates {
                record.gates.clear();
            }
            let xml = String::from_utf8(record.output(OutputFormat::Junit).unwrap()).unwrap();
            let bad = xml.contains("<failure") || xml.contains("<error");
            let exit = breakpoint::exit::Exit::from(&record);
            assert_eq!(bad, exit.code() != 0, "{name}, gates {gates}: {xml}");
            assert_eq!(xml.contains("<failure"), exit.code() == 99, "{name}");
            assert_eq!(
                xml.matches("<testcase").count(),
                1 + record.gates.len(),
                "{name}"
            );
        }
    }
    // What cannot be compared was not asked for where the gates look at something else.
    let mut record = comparison("cannot say");
    record.gates = comparison("no change").gates;
    record.gates.truncate(1);
    let xml = String::from_utf8(record.output(OutputFormat::Junit).unwrap()).unwrap();
    assert!(xml.contains("skipped=\"1\"") && xml.contains("<skipped message="));
}

#[test]
fn the_page_of_a_comparison_has_the_change_first() {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let page = text(told().output(OutputFormat::Html).unwrap());
    assert!(!page.contains("src=") && page.contains("default-src 'none'"));
    assert!(page.contains("<span class=\"whole\">1 010</span>"));
    let page = as_read(page.split_once("<body>").unwrap().1);
    let at = |what: &str| page.find(what).unwrap_or_else(|| panic!("no {what}"));
    let order = [
        "class=\"number\">-14.8 %<",
        "95 % CI -19.2 % to -10.1 %",
        "evidence of a fall (worse)</span> p &lt;= 0.001",
        "one: 1 184 VUs (1 150 – 1 215)",
        "crashed: 1 010 VUs (986 – 1 031)",
        "<code>p99(answer)&lt;2s</code>",
        "failed</span> breakpoint&lt;-5%: evidence of a fall of 14.8 %",
        "not judged</span> p99&gt;+20%",
        "none identified",
        "gateway memory: 511 of 512 MiB",
        "Every change",
        "Other differences",
        ">limit gateway.memory<",
        "<svg role=\"img\"",
        "The runs",
        "docs/compare.md",
    ];
    assert!(order.windows(2).all(|w| at(w[0]) < at(w[1])), "{order:?}");
    for (name, record) in comparisons() {
        let page = text(record.output(OutputFormat::Html).unwrap());
        assert!(page.contains("class=\"number\""), "{name}");
        assert_eq!(page.matches("<svg ").count(), 1, "{name}");
    }
}

#[test]
fn a_comparison_reads_back_exactly_and_gives_every_file() {
    for (name, record) in comparisons() {
        let json = CompareFormat::Json.render(&record).unwrap();
        assert_eq!(report::read_comparison(&json).unwrap(), record, "{name}");
        let chart = CompareFormat::Chart.render(&record).unwrap();
        assert_eq!(size(&chart), (1920, 1200), "{name}");
        let text = String::from_utf8(json).unwrap();
        let newer = text.replacen("\"schema_version\": 1", "\"schema_version\": 9", 1);
        let error = report::read_comparison(newer.as_bytes()).unwrap_err();
        assert!(
            error.to_string().contains("reads versions 1 to 1"),
            "{error}"
        );
    }
}
