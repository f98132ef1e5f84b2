//! What `cargo bench --bench peers` reads and writes: the generators' texts in, tables out. Its
//! load is not tested here.

#[path = "../../benches/peers/samples.rs"]
mod samples;
#[path = "../../benches/peers/table.rs"]
mod table;
#[path = "../../benches/peers/tool.rs"]
#[expect(dead_code, reason = "the comparison uses the rest")]
mod tool;
#[path = "../../benches/peers/tool_output.rs"]
mod tool_output;
#[path = "../../benches/peers/work.rs"]
#[expect(dead_code, reason = "the comparison uses the rest")]
mod work;

use samples::{Metric, Sample};
use tool::Tool;
use work::Work;

const WRK: &str = "Running 3s test @ http://127.0.0.1:9/sleep
  2 threads and 100 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    11.55ms    1.07ms  21.24ms   86.13%
    Req/Sec     4.33k   214.98     4.66k    80.00%
  Latency Distribution
     50%   11.31ms
     75%   11.90ms
     90%  900.00us
     99%    1.50s
  25912 requests in 3.01s, 1.73MB read
Requests/sec:   8611.02
";

const HEY: &str = "
Summary:
  Total:\t3.0105 secs

Latency distribution:
  10%% in 0.0108 secs
  50%% in 0.0113 secs
  99%% in 0.0157 secs
";

#[test]
fn each_generators_percentiles_are_read_in_milliseconds() {
    let oha = r#"{"summary":{"total":3.0},"latencyPercentiles":{"p50":0.0113,"p99":0.0157}}"#;
    let autocannon = r#"{"latency":{"average":11.5,"p50":11,"p99":16},"errors":0}"#;
    for (tool, text, p50, p99) in [
        (Tool::Wrk, WRK, 11.31, 1500.0),
        (Tool::Hey, HEY, 11.3, 15.7),
        (Tool::Hey, &HEY.replace("%%", "%"), 11.3, 15.7),
        (Tool::Oha, oha, 11.3, 15.7),
        (Tool::Autocannon, autocannon, 11.0, 16.0),
        (
            Tool::Ours,
            "p50_ms=11.3 p99_ms=15.7 from_us=7 to_us=9\n",
            11.3,
            15.7,
        ),
    ] {
        let read = tool.percentiles(text).unwrap();
        assert!((read.p50 - p50).abs() < 1e-9, "{tool}: {read:?}");
        assert!((read.p99 - p99).abs() < 1e-9, "{tool}: {read:?}");
    }
}

#[test]
fn our_own_percentiles_say_from_when_to_when_they_are() {
    let text = "p50_ms=11.3 p99_ms=15.7 from_us=7 to_us=9\n";
    assert_eq!(tool_output::times(text), Some((7, 9)));
    assert_eq!(tool_output::times(WRK), None);
}

#[test]
fn a_text_without_percentiles_has_none() {
    for tool in Tool::all() {
        for text in [
            "",
            "unable to connect",
            "{\"latency\":{}}",
            "p50_ms= p99_ms=None",
        ] {
            assert_eq!(tool.percentiles(text), None, "{tool}: {text}");
        }
    }
}

fn sample(tool: Tool, repeat: u32, value: f64) -> Sample {
    Sample {
        work: Work::Get,
        vus: 50,
        tool,
        repeat,
        metric: Metric::PerCpuS,
        value,
    }
}

#[test]
fn a_table_has_medians_ranges_and_ratios_within_each_repeat() {
    // The machine was half as fast in the second repeat, for both.
    let samples = [
        sample(Tool::Wrk, 1, 80_000.0),
        sample(Tool::Ours, 1, 88_000.0),
        sample(Tool::Wrk, 2, 40_000.0),
        sample(Tool::Ours, 2, 44_000.0),
        sample(Tool::Hey, 1, 20_000.0),
    ];
    let text = table::markdown(&samples);
    let rows: Vec<&str> = text.lines().filter(|l| l.starts_with('|')).collect();
    assert_eq!(
        rows,
        [
            "|  | 50 VUs: per CPU s | 50 VUs: x wrk |",
            "| --- | --- | --- |",
            "| ours | 66000 (44000 .. 88000) | 1.10 |",
            "| wrk | 60000 (40000 .. 80000) | 1.00 |",
            "| hey | 20000 | 0.25 |",
        ]
    );
}

#[test]
fn figures_survive_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("peers.csv");
    let all = [
        sample(Tool::OursFixed, 3, 0.1234),
        sample(Tool::H2load, 1, -7.0),
    ];
    samples::write(&file, &all).unwrap();
    assert_eq!(samples::read(&file).unwrap(), all);
    std::fs::write(&file, "work,vus\nget,many\n").unwrap();
    assert!(samples::read(&file).is_err());
}

#[test]
fn runs_that_are_joined_keep_their_repeats_apart() {
    let run = |value| vec![sample(Tool::Wrk, 1, value), sample(Tool::Wrk, 2, value)];
    let all = samples::joined([run(1.0), run(2.0)]);
    let repeats: Vec<u32> = all.iter().map(|s| s.repeat).collect();
    assert_eq!(repeats, [1, 2, 3, 4]);
}
