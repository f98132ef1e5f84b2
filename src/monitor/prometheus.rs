//! Metrics in Prometheus' text format, from the service itself or by queries from a Prometheus
//! server.
//!
//! The format is read here: the crates for it read whole pages into maps, and a monitor wants a few
//! series of thousands.

use std::collections::HashMap;

use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::counter::Rate;
use super::{Field, MonitorError, Sample, web};
use crate::measure::fields;
use crate::plan::{ConnectPlan, Series};
use crate::secret::masked;

/// The fields of a profile, and those that come with every scrape.
pub(super) fn fields<'a>(names: impl Iterator<Item = &'a Field>) -> Vec<Field> {
    names
        .cloned()
        .chain(fields::names(fields::SCRAPE).map(Field::Borrowed))
        .collect()
}

/// How many scrapes failed, and how long the last one took.
#[derive(Debug, Default)]
struct Scrapes {
    failed: f64,
}

impl Scrapes {
    fn tell(&mut self, sample: &mut Sample, began: Instant, failed: bool) {
        self.failed += if failed { 1.0 } else { 0.0 };
        sample.put("scrape_s", Some(began.elapsed().as_secs_f64()));
        sample.put("scrape_failed", Some(self.failed));
    }
}

/// A monitor of a page of metrics.
#[derive(Debug)]
pub(super) struct Page {
    url: String,
    client: Option<web::Client>,
    connect: ConnectPlan,
    wanted: Vec<Wanted>,
    scrapes: Scrapes,
}

#[derive(Debug)]
struct Wanted {
    field: Field,
    series: Series,
    rate: Rate,
}

impl Page {
    pub(super) fn new(url: &str, metrics: &[(String, Series)], connect: &ConnectPlan) -> Self {
        let wanted = |(field, series): &(String, Series)| Wanted {
            field: field.clone().into(),
            series: series.clone(),
            rate: Rate::default(),
        };
        Self {
            url: url.to_owned(),
            client: None,
            connect: connect.clone(),
            wanted: metrics.iter().map(wanted).collect(),
            scrapes: Scrapes::default(),
        }
    }

    pub(super) fn fields(&self) -> Vec<Field> {
        fields(self.wanted.iter().map(|w| &w.field))
    }

    pub(super) async fn sample(&mut self) -> Result<Sample, MonitorError> {
        let began = Instant::now();
        let page = self.fetch().await;
        let mut sample = Sample::default();
        let told = page.and_then(|text| self.fold(&mut sample, &text));
        self.scrapes.tell(&mut sample, began, told.is_err());
        if let Err(why) = told {
            sample.problem = Some(format!("{}: {why}", masked(&self.url)));
        }
        Ok(sample)
    }

    async fn fetch(&mut self) -> Result<String, String> {
        let client = match &self.client {
            Some(client) => client,
            None => self.client.insert(web::client(&self.url, &self.connect)?),
        };
        let url = reqwest::Url::parse(&self.url).map_err(|e| e.to_string())?;
        web::get(client, url, false, web::PAGE).await
    }

    /// Adds what a page says to `sample`.
    fn fold(&mut self, sample: &mut Sample, text: &str) -> Result<(), String> {
        let series: Vec<&Series> = self.wanted.iter().map(|w| &w.series).collect();
        let seen = read(text, &series).ok_or("the response is not a page of metrics")?;
        let now = Instant::now();
        for (wanted, seen) in self.wanted.iter_mut().zip(seen) {
            let Some(seen) = seen else {
                let name = &wanted.series.name;
                let why = format!("{}: there is no metric `{name}`", masked(&self.url));
                sample.problem.get_or_insert(why);
                continue;
            };
            let value = if seen.is_counter {
                wanted.rate.update("", now, seen.sum)
            } else {
                Some(seen.sum)
            };
            sample.put(wanted.field.clone(), value);
        }
        draw_limits(sample);
        Ok(())
    }
}

/// A field `heap_limit` is the limit of the field `heap`.
fn draw_limits(sample: &mut Sample) {
    let is_limit = |(field, value): &(Field, f64)| {
        let of = field.strip_suffix("_limit")?;
        super::find(&sample.values, of)?;
        Some((of.to_owned(), *value))
    };
    let limits: Vec<(String, f64)> = sample.values.iter().filter_map(is_limit).collect();
    for (field, limit) in limits {
        sample.limit(field, Some(limit));
    }
}

/// The sum of the series that a selector stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
struct SeriesSum {
    sum: f64,
    is_counter: bool,
}

/// Looks for series on a page; `None` when it is no page of metrics at all.
fn read(text: &str, wanted: &[&Series]) -> Option<Vec<Option<SeriesSum>>> {
    let mut types: HashMap<&str, &str> = HashMap::new();
    let mut found = vec![None; wanted.len()];
    let mut is_page = false;
    for line in text.lines().map(str::trim_start) {
        if let Some(comment) = line.strip_prefix('#') {
            types.extend(metric_type(comment));
            continue;
        }
        // Cheap, because most lines are not wanted.
        let is_wanted = wanted.iter().any(|w| line.starts_with(&w.name));
        if is_page && !is_wanted {
            continue;
        }
        let Some((series, value)) = sample(line) else {
            continue;
        };
        is_page = true;
        for (wanted, seen) in wanted.iter().zip(&mut found) {
            if wanted.selects(&series) && value.is_finite() {
                let seen = seen.get_or_insert(SeriesSum {
                    sum: 0.0,
                    is_counter: is_counter(&series.name, &types),
                });
                seen.sum += value;
            }
        }
    }
    is_page.then_some(found)
}

/// `TYPE name counter`, behind the `#`.
fn metric_type(comment: &str) -> Option<(&str, &str)> {
    let mut words = comment.split_ascii_whitespace();
    (words.next()? == "TYPE").then_some((words.next()?, words.next()?))
}

/// A series and its value. A time or an exemplar may follow.
fn sample(line: &str) -> Option<(Series, f64)> {
    let (series, rest) = Series::read(line)?;
    let value = rest.split_ascii_whitespace().next()?;
    Some((series, value.parse().ok()?))
}

/// Counts of histograms and summaries grow too. `OpenMetrics` gives the type of `x_total` under the
/// name `x`.
fn is_counter(name: &str, types: &HashMap<&str, &str>) -> bool {
    let is = |name: &str, kinds: &[&str]| types.get(name).is_some_and(|t| kinds.contains(t));
    let part = |end: &str, kinds: &[&str]| name.strip_suffix(end).is_some_and(|n| is(n, kinds));
    is(name, &["counter"])
        || part("_total", &["counter"])
        || ["_count", "_sum", "_bucket"]
            .into_iter()
            .any(|end| part(end, &["histogram", "summary"]))
}

/// A monitor of a Prometheus server.
#[derive(Debug)]
pub(super) struct Queries {
    server: String,
    client: Option<web::Client>,
    connect: ConnectPlan,
    /// Fields, each with its query.
    asked: Vec<(Field, String)>,
    scrapes: Scrapes,
}

impl Queries {
    pub(super) fn new(server: &str, queries: &[(String, String)], connect: &ConnectPlan) -> Self {
        let query = |(field, text): &(String, String)| (field.clone().into(), text.clone());
        Self {
            server: server.to_owned(),
            client: None,
            connect: connect.clone(),
            asked: queries.iter().map(query).collect(),
            scrapes: Scrapes::default(),
        }
    }

    pub(super) fn fields(&self) -> Vec<Field> {
        fields(self.asked.iter().map(|(field, _)| field))
    }

    pub(super) async fn sample(&mut self) -> Result<Sample, MonitorError> {
        let began = Instant::now();
        let mut sample = Sample::default();
        let answers = self.ask().await;
        let mut failed = false;
        for (field, answer) in answers {
            match answer {
                Ok(value) => sample.put(field, value),
                Err(why) => {
                    failed = true;
                    let why = format!("{}: {field}: {why}", masked(&self.server));
                    sample.problem.get_or_insert(why);
                }
            }
        }
        draw_limits(&mut sample);
        self.scrapes.tell(&mut sample, began, failed);
        Ok(sample)
    }

    /// All queries at once, so that a slow one costs the others nothing.
    async fn ask(&mut self) -> Vec<(Field, Result<Option<f64>, String>)> {
        let client = match &self.client {
            Some(client) => Ok(client.clone()),
            None => {
                web::client(&self.server, &self.connect).inspect(|c| self.client = Some(c.clone()))
            }
        };
        let mut answers = JoinSet::new();
        for (field, query) in &self.asked {
            let (field, client) = (field.clone(), client.clone());
            let url = query_url(&self.server, query);
            answers.spawn(async move {
                let answer = async { answer(&web::get(&client?, url?, true, web::ANSWER).await?) };
                (field, answer.await)
            });
        }
        answers.join_all().await
    }
}

fn query_url(server: &str, query: &str) -> Result<reqwest::Url, String> {
    let url = format!("{}/api/v1/query", server.trim_end_matches('/'));
    let mut url = reqwest::Url::parse(&url).map_err(|e| e.to_string())?;
    url.query_pairs_mut().append_pair("query", query);
    Ok(url)
}

/// An answer of `/api/v1/query`.
#[derive(Debug, Deserialize)]
struct QueryAnswer {
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", tag = "resultType", content = "result")]
enum Data {
    Scalar(Point),
    Vector(Vec<VectorSample>),
    Matrix(serde::de::IgnoredAny),
    String(serde::de::IgnoredAny),
}

#[derive(Debug, Deserialize)]
struct VectorSample {
    value: Point,
}

/// A time and a value as text.
#[derive(Debug, Deserialize)]
struct Point(serde::de::IgnoredAny, String);

/// The one number of an answer; `None` when there is no data.
fn answer(text: &str) -> Result<Option<f64>, String> {
    let answer: QueryAnswer =
        serde_json::from_str(text).map_err(|_| "the response is not from a Prometheus server")?;
    let point = match (answer.data, answer.error) {
        (_, Some(error)) => return Err(error),
        (Some(Data::Scalar(point)), _) => point,
        (Some(Data::Vector(mut samples)), _) => match samples.pop() {
            None => return Ok(None),
            Some(_) if !samples.is_empty() => {
                let n = samples.len() + 1;
                return Err(format!(
                    "the query returns {n} series instead of one; wrap it in sum(...) or max(...)"
                ));
            }
            Some(sample) => sample.value,
        },
        (Some(_), _) => return Err("the query does not return a single number".to_owned()),
        (None, None) => return Err("the response is not from a Prometheus server".to_owned()),
    };
    let value: f64 = point
        .1
        .parse()
        .map_err(|_| format!("`{}` is not a number", point.1))?;
    Ok(Some(value).filter(|v| v.is_finite()))
}

/// Reads a text as a page and as an answer.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(text: &str) {
    let wanted: Vec<Series> = ["heap", "shed_total{why=\"full\"}", "request_seconds_count"]
        .iter()
        .filter_map(|text| Series::parse(text).ok())
        .collect();
    let series: Vec<&Series> = wanted.iter().collect();
    if let Some(seen) = read(text, &series) {
        assert_eq!(seen.len(), series.len());
    }
    drop(Series::parse(text));
    if let Ok(Some(value)) = answer(text) {
        assert!(value.is_finite());
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::super::find;
    use super::*;

    // Recorded from prom-client 15 and prometheus_client (OpenMetrics), shortened.
    const PAGE: &str = r#"# HELP nodejs_eventloop_lag_p99_seconds The 99th percentile of the recorded event loop delays.
# TYPE nodejs_eventloop_lag_p99_seconds gauge
nodejs_eventloop_lag_p99_seconds 0.011345919

# TYPE gateway_shed_total counter
gateway_shed_total{reason="rate limit"} 3
gateway_shed_total{reason="queue full"} 4
gateway_shed_total_more 100
# TYPE heap gauge
heap{space="new"} 1e6 1732555555555
heap{space="old"} 2.5e+07
heap{space="odd"} NaN
# TYPE request_seconds histogram
request_seconds_bucket{le="+Inf"} 8
request_seconds_count 8 # {trace="x"} 0.1
# TYPE answers counter
answers_total 9
heap_limit 5e7
not a sample
"#;

    fn page(metrics: &[(&str, &str)]) -> Page {
        let metric = |(f, s): &(&str, &str)| ((*f).to_owned(), Series::parse(s).unwrap());
        let metrics: Vec<_> = metrics.iter().map(metric).collect();
        Page::new(
            "http://127.0.0.1:1/metrics",
            &metrics,
            &ConnectPlan::default(),
        )
    }

    #[test]
    fn series_are_summed_and_their_types_known() {
        let of = |text: &str| {
            let series = Series::parse(text).unwrap();
            let seen = read(PAGE, &[&series]).unwrap()[0];
            seen.map(|s| (s.sum, s.is_counter))
        };
        for (text, want) in [
            (
                "nodejs_eventloop_lag_p99_seconds",
                Some((0.011_345_919, false)),
            ),
            ("gateway_shed_total", Some((7.0, true))),
            (
                r#"gateway_shed_total{reason="queue full"}"#,
                Some((4.0, true)),
            ),
            ("heap", Some((26e6, false))),
            ("request_seconds_count", Some((8.0, true))),
            ("answers_total", Some((9.0, true))),
            (r#"heap{space="none"}"#, None),
            ("nothing", None),
        ] {
            assert_eq!(of(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_page_is_told_apart_from_a_page_that_lacks_a_metric() {
        let up = Series::parse("up").unwrap();
        for garbage in [
            "",
            "<html><body>Bad Gateway</body></html>",
            "# TYPE up gauge\n",
            "\0\u{1}",
        ] {
            assert_eq!(read(garbage, &[&up]), None, "{garbage}");
        }
        assert_eq!(read("down 1\n", &[&up]), Some(vec![None]));
    }

    #[test]
    fn a_counter_is_a_rate_and_a_limit_a_limit() {
        let mut page = page(&[
            ("sheds", "gateway_shed_total"),
            ("heap", "heap"),
            ("heap_limit", "heap_limit"),
            ("gone", "gone"),
        ]);
        let mut sample = Sample::default();
        page.fold(&mut sample, PAGE).unwrap();
        assert_eq!(find(&sample.values, "sheds"), None, "a rate needs two");
        assert_eq!(find(&sample.values, "heap"), Some(26e6));
        assert_eq!(find(&sample.limits, "heap"), Some(5e7));
        let problem = sample.problem.unwrap();
        assert!(problem.contains("there is no metric `gone`"), "{problem}");
        let mut sample = Sample::default();
        page.fold(&mut sample, PAGE).unwrap();
        assert_eq!(find(&sample.values, "sheds"), Some(0.0));
        assert_eq!(
            page.fields(),
            [
                "sheds",
                "heap",
                "heap_limit",
                "gone",
                "scrape_s",
                "scrape_failed"
            ]
        );
    }

    #[test]
    fn answers_of_a_prometheus_server_are_read() {
        let vector = |samples: &str| {
            format!(
                r#"{{"status":"success","data":{{"resultType":"vector","result":[{samples}]}}}}"#
            )
        };
        let one = r#"{"metric":{"job":"x"},"value":[1732555555.781,"0.25"]}"#;
        assert_eq!(answer(&vector(one)), Ok(Some(0.25)));
        assert_eq!(answer(&vector("")), Ok(None));
        let nan = one.replace("0.25", "NaN");
        assert_eq!(answer(&vector(&nan)), Ok(None), "0/0 is a gap");
        let scalar =
            r#"{"status":"success","data":{"resultType":"scalar","result":[1732555555,"7"]}}"#;
        assert_eq!(answer(scalar), Ok(Some(7.0)));
        let error =
            r#"{"status":"error","errorType":"bad_data","error":"parse error: unexpected end"}"#;
        assert_eq!(answer(error).unwrap_err(), "parse error: unexpected end");
        let two = answer(&vector(&format!("{one},{one}"))).unwrap_err();
        assert!(two.contains("2 series"), "{two}");
        let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        assert!(answer(matrix).unwrap_err().contains("a single number"));
        assert!(
            answer("<html>")
                .unwrap_err()
                .contains("not from a Prometheus")
        );
        assert!(answer("{}").unwrap_err().contains("not from a Prometheus"));
    }

    #[test]
    fn a_query_is_encoded() {
        let url = query_url("http://h:9090/", "sum(rate(x{a=\"b\"}[1m])) + 1").unwrap();
        assert_eq!(
            url.as_str(),
            "http://h:9090/api/v1/query?query=sum%28rate%28x%7Ba%3D%22b%22%7D%5B1m%5D%29%29+%2B+1"
        );
    }

    /// As the format's description has it: a backslash, a quote and a line end are written with a
    /// backslash.
    fn quoted(text: &str) -> String {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{}\"", text.replace('\n', "\\n"))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_a_page_says_is_what_is_read(
            values in prop::collection::vec((".{0,12}", -1e12..1e12_f64, any::<bool>()), 1..6),
            wanted in any::<prop::sample::Index>(),
            counts in any::<bool>(),
        ) {
            let mut page = format!("# HELP m Of \"this\".\n# TYPE m {}\n", if counts { "counter" } else { "gauge" });
            for (label, value, has_time) in &values {
                let time = if *has_time { " 1732555555555" } else { "" };
                let part = quoted(label);
                writeln!(page, "m{{part={part}}} {value}{time}\nmore{{part=\"x\"}} 1").unwrap();
            }
            page.push_str("m{part=\"no number\"} NaN\n");
            let label = &wanted.get(&values).0;
            let selector = format!("m{{part={}}}", quoted(label));
            let series = [Series::parse("m").unwrap(), Series::parse(&selector).unwrap()];
            let seen = read(&page, &[&series[0], &series[1]]).unwrap();
            let sum = |of: &dyn Fn(&String) -> bool| -> f64 {
                values.iter().filter(|v| of(&v.0)).map(|v| v.1).sum()
            };
            prop_assert_eq!(seen[0], Some(SeriesSum { sum: sum(&|_| true), is_counter: counts }));
            let of_label = SeriesSum { sum: sum(&|l| l == label), is_counter: counts };
            prop_assert_eq!(seen[1], Some(of_label));
        }
    }
}
