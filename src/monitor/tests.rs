use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::measure::fields;
use crate::plan::{ConnectPlan, LogMatch, Series};

fn plan(source: MonitorSource) -> MonitorPlan {
    MonitorPlan {
        name: "it".to_owned(),
        source,
        memory_limit: Some(1000),
        log: None,
        log_match: LogMatch::default(),
        connect: ConnectPlan::default(),
    }
}

fn value(readings: &[Reading], field: &str) -> Option<f64> {
    let reading = readings.iter().find(|r| r.field == field);
    reading.unwrap_or_else(|| panic!("no field {field}")).value
}

/// Ends the process when the test does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Polls until a reading is as wanted; the monitors sample once a second.
async fn until(hub: &MonitorHub, field: &str, wanted: impl Fn(Option<f64>) -> bool) {
    for _ in 0..300 {
        if wanted(value(&hub.snapshot(), field)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{field}: {:?} {:?}", hub.snapshot(), hub.problems());
}

#[tokio::test]
async fn a_source_that_is_not_there_is_gaps_and_a_problem() {
    let hub = MonitorHub::start(vec![
        plan(MonitorSource::PidFile("/no/such.pid".into())),
        plan(MonitorSource::Cgroup("/no/such/group".into())),
        plan(MonitorSource::Redis("redis://127.0.0.1:1".to_owned())),
        plan(MonitorSource::DockerOrPidFile(
            "no-such-container".to_owned(),
            "/no/such.pid".into(),
        )),
    ]);
    hub.warm_up(Duration::from_secs(5)).await;
    let readings = hub.snapshot();
    assert_eq!(
        readings.len(),
        2 * fields::PROCESS.len()
            + fields::CONTAINER.len()
            + fields::CONTROL_GROUP.len()
            + fields::REDIS.len()
    );
    assert!(readings.iter().all(|r| r.value.is_none()), "{readings:?}");
    assert_eq!(hub.problems().len(), 4, "{:?}", hub.problems());
    assert_eq!(value(&hub.limits(), "memory"), Some(1000.0));
    hub.stop().await;
}

#[tokio::test]
async fn a_process_is_watched_until_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("it.pid");
    let mut child = Running(Command::new("sleep").arg("60").spawn().unwrap());
    std::fs::write(&file, child.0.id().to_string()).unwrap();
    let hub = MonitorHub::start(vec![plan(MonitorSource::PidFile(file))]);
    hub.warm_up(Duration::from_secs(5)).await;
    assert_eq!(value(&hub.snapshot(), "up"), Some(1.0));
    until(&hub, "cpu", |v| v.is_some()).await;
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    hub.asked_again().await;
    assert_eq!(value(&hub.snapshot(), "up"), Some(0.0));
    assert_eq!(value(&hub.snapshot(), "restarts"), Some(0.0));
    hub.stop().await;
}

/// A real control group (version 1) with a memory limit; `None` where it cannot be made.
fn real_group(name: &str) -> Option<PathBuf> {
    let dir = Path::new("/sys/fs/cgroup/memory").join(name);
    let made = std::fs::create_dir(&dir)
        .and_then(|()| std::fs::write(dir.join("memory.limit_in_bytes"), "16777216"));
    match made {
        Ok(()) => Some(dir),
        Err(error) => {
            println!("skipped: no control group can be made here: {error}");
            None
        }
    }
}

#[tokio::test]
async fn a_kill_by_the_kernel_in_a_real_control_group_is_counted_over_a_restart() {
    let name = format!("breakpoint-test-{}", std::process::id());
    let Some(group) = real_group(&name) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("it.pid");
    // The process joins the group, says who it is, and waits for a line before it takes more than
    // the limit.
    let script = format!(
        "echo $$ > {}/cgroup.procs && echo $$ > {}; read line; exec dd if=/dev/zero of=/dev/null \
         bs=100M count=1",
        group.display(),
        file.display()
    );
    let start = || {
        let child = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Running(child)
    };
    let mut first = start();
    while !file.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let hub = MonitorHub::start(vec![plan(MonitorSource::PidFile(file.clone()))]);
    until(&hub, "up", |v| v == Some(1.0)).await;
    assert_eq!(value(&hub.snapshot(), "oom_kills"), Some(0.0));
    assert_eq!(value(&hub.limits(), "memory"), Some(16_777_216.0));
    drop(first.0.stdin.take());
    first.0.wait().unwrap();
    until(&hub, "oom_kills", |v| v == Some(1.0)).await;
    assert_eq!(value(&hub.snapshot(), "up"), Some(0.0));
    std::fs::remove_file(&file).unwrap();
    let second = start();
    until(&hub, "restarts", |v| v == Some(1.0)).await;
    assert_eq!(value(&hub.snapshot(), "oom_kills"), Some(1.0));
    hub.stop().await;
    let by_dir = MonitorHub::start(vec![plan(MonitorSource::Cgroup(group.clone()))]);
    by_dir.warm_up(Duration::from_secs(5)).await;
    assert_eq!(value(&by_dir.snapshot(), "up"), Some(1.0));
    assert!(value(&by_dir.snapshot(), "memory") > Some(0.0));
    by_dir.stop().await;
    drop(second);
    tokio::time::sleep(Duration::from_millis(100)).await;
    std::fs::remove_dir(&group).unwrap();
}

#[tokio::test]
async fn a_real_redis_is_watched_through_refusals_and_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("redis.sock");
    let start = || {
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--maxmemory", "4mb"])
            .arg("--unixsocket")
            .arg(&socket)
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .spawn();
        child.map(Running)
    };
    let Ok(first) = start() else {
        println!("skipped: no redis-server here");
        return;
    };
    let url = format!("redis+unix://{}", socket.display());
    let hub = MonitorHub::start(vec![plan(MonitorSource::Redis(url.clone()))]);
    until(&hub, "up", |v| v == Some(1.0)).await;
    assert_eq!(value(&hub.limits(), "memory"), Some(4.0 * 1024.0 * 1024.0));
    let client = ::redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let big = "x".repeat(5_000_000);
    for _ in 0..3 {
        // The second is refused: there is no room left.
        let set = ::redis::cmd("SET").arg("key").arg(&big).to_owned();
        let _: Result<(), _> = set.query_async(&mut connection).await;
    }
    until(&hub, "oom_errors", |v| v > Some(0.0)).await;
    // A reset empties it and its statistics: the counts go on from where they were.
    let mut fill = ::redis::cmd("SET");
    fill.arg("other").arg("x".repeat(1_500_000));
    let _: () = fill.query_async(&mut connection).await.unwrap();
    until(&hub, "memory", |v| v > Some(2.0e6)).await;
    let full = value(&hub.snapshot(), "oom_errors");
    let mut reset = ::redis::pipe();
    reset.atomic().cmd("FLUSHALL").ignore();
    reset.cmd("CONFIG").arg("RESETSTAT").ignore();
    let _: () = reset.query_async(&mut connection).await.unwrap();
    until(&hub, "memory", |v| v < Some(2.0e6)).await;
    assert_eq!(value(&hub.snapshot(), "oom_errors"), full);
    for _ in 0..3 {
        let set = ::redis::cmd("SET").arg("key").arg(&big).to_owned();
        let _: Result<(), _> = set.query_async(&mut connection).await;
    }
    until(&hub, "oom_errors", |v| v > full).await;
    drop(first);
    until(&hub, "up", |v| v == Some(0.0)).await;
    assert_eq!(value(&hub.snapshot(), "memory"), None);
    let _second = start().unwrap();
    until(&hub, "restarts", |v| v == Some(1.0)).await;
    assert!(value(&hub.snapshot(), "oom_errors") > Some(0.0));
    hub.stop().await;
}

#[tokio::test]
async fn lines_of_a_log_come_with_the_monitors_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("it.log");
    std::fs::write(&path, "").unwrap();
    let log = |path: &Path| MonitorPlan {
        log: Some(path.to_owned()),
        log_match: LogMatch::parse("ouch").unwrap(),
        connect: ConnectPlan::default(),
        ..plan(MonitorSource::Cgroup("/no/such/group".into()))
    };
    let hub = MonitorHub::start(vec![log(&path), log(Path::new("/no/such.log"))]);
    std::fs::write(&path, "fine\nouch\n").unwrap();
    let mut lines = Vec::new();
    let both = async {
        let is_told = |p: &String| p.contains("log /no/such.log: ");
        while lines.is_empty() || !hub.problems().iter().any(is_told) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            lines.extend(hub.lines());
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(60), both).await;
    assert!(told.is_ok(), "{lines:?} {:?}", hub.problems());
    assert_eq!(
        (lines[0].monitor.as_str(), lines[0].text.as_str()),
        ("it", "ouch")
    );
    hub.stop().await;
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_is_seen_filling_its_buffer_and_being_closed() {
    use std::io::Write as _;
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("redis.sock");
    let log = dir.path().join("redis.log");
    let child = Command::new("redis-server")
        .args([
            "--port",
            "0",
            "--save",
            "",
            "--slowlog-log-slower-than",
            "0",
        ])
        .args(["--client-output-buffer-limit", "pubsub 2mb 0 0"])
        .arg("--unixsocket")
        .arg(&socket)
        .arg("--logfile")
        .arg(&log)
        .current_dir(dir.path())
        .spawn();
    let Ok(child) = child else {
        println!("skipped: no redis-server here");
        return;
    };
    let _server = Running(child);
    let url = format!("redis+unix://{}", socket.display());
    let hub = MonitorHub::start(vec![MonitorPlan {
        log: Some(log),
        ..plan(MonitorSource::Redis(url.clone()))
    }]);
    until(&hub, "up", |v| v == Some(1.0)).await;
    let limit = value(&hub.limits(), "output_buffer_max");
    assert_eq!(limit, Some(2.0 * 1024.0 * 1024.0));
    let mut subscriber = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    subscriber.write_all(b"SUBSCRIBE news\r\n").unwrap();
    until(&hub, "pubsub_clients", |v| v == Some(1.0)).await;
    assert_eq!(value(&hub.snapshot(), "output_buffer_kills"), Some(0.0));
    let client = ::redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut publish = async |times| {
        for _ in 0..times {
            let mut publish = ::redis::cmd("PUBLISH");
            publish.arg("news").arg("x".repeat(100_000));
            let _: i64 = publish.query_async(&mut connection).await.unwrap();
        }
    };
    publish(12).await;
    until(&hub, "output_buffer_max", |v| v > Some(500_000.0)).await;
    let readings = hub.snapshot();
    assert_eq!(
        value(&readings, "output_buffers"),
        value(&readings, "output_buffer_max")
    );
    assert!(value(&readings, "slowlog") > Some(0.0), "{readings:?}");
    assert!(
        value(&readings, "latency_p99_s") > Some(0.0),
        "{readings:?}"
    );
    assert_eq!(value(&readings, "blocked_clients"), Some(0.0));
    publish(20).await;
    until(&hub, "output_buffer_kills", |v| v == Some(1.0)).await;
    until(&hub, "pubsub_clients", |v| v == Some(0.0)).await;
    let lines = hub.lines();
    let told = |l: &LogLine| l.text.contains("overcoming of output buffer limits");
    assert!(lines.iter().any(told), "{lines:?}");
    hub.stop().await;
}

/// What a server of metrics is told to do.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Stalls,
    Rubbish,
    Dies,
}

/// A small server of metrics whose mood can be changed; `?query=slow` always stalls.
struct MetricsServer {
    url: String,
    mood: Arc<Mutex<Mood>>,
    task: JoinHandle<()>,
}

impl MetricsServer {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mood = Arc::new(Mutex::new(Mood::Well));
        let shared = Arc::clone(&mood);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Self::serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, mood, task }
    }

    async fn serve(mut stream: tokio::net::TcpStream, mood: Arc<Mutex<Mood>>) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut asked = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut asked).await {
            let asked = String::from_utf8_lossy(&asked[..n]).into_owned();
            let mood = *mood.lock().unwrap();
            let body = match mood {
                _ if asked.contains("query=slow") => return std::future::pending().await,
                Mood::Stalls => return std::future::pending().await,
                Mood::Dies => return,
                Mood::Rubbish => "<html>Bad Gateway</html>",
                Mood::Well if asked.contains("/api/v1/query") => {
                    r#"{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}"#
                }
                Mood::Well => "# TYPE depth gauge\ndepth{of=\"a\"} 2\ndepth{of=\"b\"} 3\n",
            };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            if stream.write_all((head + body).as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn metrics_that_stall_die_or_are_rubbish_are_gaps_and_delay_nobody() {
    let server = MetricsServer::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("it.pid");
    std::fs::write(&file, std::process::id().to_string()).unwrap();
    let series = Series::parse("depth").unwrap();
    let hub = MonitorHub::start(vec![
        plan(MonitorSource::PidFile(file)),
        plan(MonitorSource::Prometheus(
            format!("{}/metrics", server.url),
            vec![("queue".to_owned(), series)],
        )),
    ]);
    until(&hub, "queue", |v| v == Some(5.0)).await;
    assert_eq!(value(&hub.snapshot(), "scrape_failed"), Some(0.0));
    let mut failed = 0.0;
    for mood in [Mood::Stalls, Mood::Rubbish, Mood::Dies] {
        server.set(mood);
        until(&hub, "scrape_failed", |v| v > Some(failed)).await;
        let readings = hub.snapshot();
        assert_eq!(value(&readings, "queue"), None, "{mood:?}: a gap, no zero");
        assert_eq!(value(&readings, "up"), Some(1.0), "the other one goes on");
        assert_eq!(hub.problems().len(), 1, "{mood:?}");
        server.set(Mood::Well);
        until(&hub, "queue", |v| v == Some(5.0)).await;
        failed = value(&hub.snapshot(), "scrape_failed").unwrap();
    }
    hub.stop().await;
}

#[tokio::test]
async fn a_slow_query_costs_the_others_nothing() {
    let server = MetricsServer::start().await;
    let query = |name: &str| (name.to_owned(), name.to_owned());
    let hub = MonitorHub::start(vec![plan(MonitorSource::PromQl(
        server.url.clone(),
        vec![query("fast"), query("slow")],
    ))]);
    until(&hub, "fast", |v| v == Some(7.0)).await;
    until(&hub, "scrape_failed", |v| v >= Some(1.0)).await;
    let readings = hub.snapshot();
    assert_eq!(value(&readings, "fast"), Some(7.0));
    assert_eq!(value(&readings, "slow"), None);
    assert!(
        hub.problems()[0].contains("slow: no answer"),
        "{:?}",
        hub.problems()
    );
    hub.stop().await;
}

#[tokio::test]
async fn a_process_with_a_network_of_its_own_tells_of_that_one() {
    let child = Command::new("unshare").args(["-n", "sleep", "60"]).spawn();
    let Ok(child) = child.map(Running) else {
        println!("skipped: no unshare here");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("it.pid");
    std::fs::write(&file, child.0.id().to_string()).unwrap();
    // It needs a right that not everybody has, and ends at once without it.
    let link = |who: &str| std::fs::read_link(format!("/proc/{who}/ns/net")).ok();
    let pid = child.0.id().to_string();
    for _ in 0..100 {
        if link(&pid) != link("self") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if link(&pid).is_none() || link(&pid) == link("self") {
        println!("skipped: no network namespace can be made here");
        return;
    }
    let hub = MonitorHub::start(vec![plan(MonitorSource::PidFile(file))]);
    until(&hub, "listen_overflows", |v| v == Some(0.0)).await;
    until(&hub, "retransmits", |v| v == Some(0.0)).await;
    hub.stop().await;
}

#[tokio::test]
async fn this_machine_is_watched_without_being_asked_for() {
    let hub = MonitorHub::start(vec![plan(MonitorSource::Host)]);
    hub.warm_up(Duration::from_secs(5)).await;
    let readings = hub.snapshot();
    assert_eq!(readings.len(), fields::HOST.len());
    if cfg!(target_os = "linux") {
        assert!(value(&readings, "memory_available") > Some(0.0));
        assert!(value(&readings, "listen_overflows").is_some());
        assert!(value(&readings, "retransmits").is_some());
        assert!(value(&readings, "time_wait").is_some());
    }
    hub.stop().await;
}

/// A container of this machine's own shell, removed with its image when the test ends.
struct TestContainer(String);

impl TestContainer {
    /// `None` where there is no Docker that could run it.
    fn run(script: &str) -> Option<Self> {
        let name = format!("breakpoint-test-{}", std::process::id());
        let make = "files=$(for f in /bin/sh /bin/dd /bin/sleep; do echo $f; ldd $f | grep -o '/[^ ]*'; done | sort -u) && \
                    tar -chf - -C / $(echo $files | sed 's|^/||; s| /| |g') 2>/dev/null | docker import - $0 && \
                    exec docker run -d --name $0 --network none -m 32m --memory-swap 32m $0 sh -c \"$1\"";
        let made = Command::new("sh")
            .args(["-c", make, &name, script])
            .output()
            .unwrap();
        // Also removed when only the image was made.
        let container = Self(name);
        if made.status.success() {
            return Some(container);
        }
        let why = String::from_utf8_lossy(&made.stderr).into_owned();
        println!("skipped: no container can be run here: {why}");
        None
    }

    fn docker(&self, args: &[&str]) {
        Command::new("docker")
            .args(args)
            .arg(&self.0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .ok();
    }
}

impl Drop for TestContainer {
    fn drop(&mut self) {
        self.docker(&["rm", "-f"]);
        self.docker(&["rmi", "-f"]);
    }
}

#[tokio::test]
async fn a_real_container_is_watched_through_a_kill_and_a_restart() {
    let script = "echo error one; sleep 8; echo error two >&2; exec dd if=/dev/zero of=/dev/null \
        bs=100M count=1";
    let Some(container) = TestContainer::run(script) else {
        return;
    };
    let statistics = docker::Statistics::start(&container.0);
    let hub = MonitorHub::start(vec![plan(MonitorSource::DockerOrPidFile(
        container.0.clone(),
        "/no/such.pid".into(),
    ))]);
    until(&hub, "up", |v| v == Some(1.0)).await;
    assert_eq!(value(&hub.limits(), "memory"), Some(32.0 * 1024.0 * 1024.0));
    until(&hub, "memory", |v| v > Some(0.0)).await;
    until(&hub, "cpu", |v| v.is_some()).await;
    assert_eq!(value(&hub.snapshot(), "oom_kills"), Some(0.0));
    // What stands in where the control group cannot be read.
    while statistics.latest().cpu.is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(statistics.latest().memory > Some(0.0));
    drop(statistics);
    until(&hub, "oom_kills", |v| v == Some(1.0)).await;
    until(&hub, "up", |v| v == Some(0.0)).await;
    assert_eq!(value(&hub.snapshot(), "memory"), None, "gone, not zero");
    assert_eq!(value(&hub.snapshot(), "exit_code"), Some(137.0));
    let mut told: Vec<String> = Vec::new();
    while told.len() < 3 {
        told.extend(hub.lines().into_iter().map(|l| l.text));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The log and the events are two streams: their order is not known.
    for line in ["error two", "oom", "die, exit code 137"] {
        assert!(told.iter().any(|t| t == line), "{line}: {told:?}");
    }
    // As a reset does it.
    let engine = DockerEngine::new().unwrap();
    assert!(!engine.is_running(&container.0).await.unwrap());
    let limit = Duration::from_secs(20);
    engine.restart(&container.0, limit).await.unwrap();
    while !hub.lines().iter().any(|l| l.text == "error one") {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    until(&hub, "restarts", |v| v == Some(1.0)).await;
    until(&hub, "oom_kills", |v| v == Some(2.0)).await;
    hub.stop().await;
}
