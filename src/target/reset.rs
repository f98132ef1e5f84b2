//! Resets that need no command of the profile: containers over Docker's API, Redis servers over
//! connections of their own.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::TargetError;
use crate::monitor::{DockerEngine, MonitorError, RedisConnection};
use crate::plan::{FlushPlan, RestartPlan, RestartWhen};
use crate::scenario::Allowed;

/// Time until a Redis server that was not there is tried again: it may just have been restarted.
const AGAIN: Duration = Duration::from_millis(200);
/// Time that a connection to it may take.
const CONNECT: Duration = Duration::from_secs(2);

/// Restarts the containers that need it, one after the other; `bloated` are the monitors that read
/// too much memory.
pub(super) async fn restart(
    plans: &[RestartPlan],
    bloated: &[String],
    limit: Duration,
) -> Result<(), TargetError> {
    for plan in plans {
        let restarted = match DockerEngine::new() {
            Ok(engine) => restart_if_due(&engine, plan, bloated, limit).await,
            Err(error) => Err(error),
        };
        restarted.map_err(|error| TargetError::Restart {
            container: plan.container.clone(),
            error,
        })?;
    }
    Ok(())
}

async fn restart_if_due(
    engine: &DockerEngine,
    plan: &RestartPlan,
    bloated: &[String],
    limit: Duration,
) -> Result<(), MonitorError> {
    let is_due = match plan.when {
        RestartWhen::Always => true,
        RestartWhen::Bloated => bloated.contains(&plan.monitor),
        RestartWhen::Dead => false,
    };
    // Docker is asked itself: the monitor's last word may be seconds old.
    if is_due || !engine.is_running(&plan.container).await? {
        engine.restart(&plan.container, limit).await?;
    }
    Ok(())
}

/// Empties a Redis server and its statistics. One that is not there (any more, or yet) is waited
/// for.
pub(super) async fn flush(
    plan: &FlushPlan,
    allowed: &Allowed,
    limit: Duration,
) -> Result<(), TargetError> {
    let mut last = None;
    let emptied = timeout(limit, async {
        loop {
            match flush_once(&plan.url, allowed).await {
                Err(error) if may_come_back(&error) => last = Some(error.to_string()),
                outcome => return outcome,
            }
            sleep(AGAIN).await;
        }
    });
    let why = match emptied.await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => {
            let last = last.map_or_else(String::new, |why| format!(": {why}"));
            format!("it did not answer within {} s{last}", limit.as_secs_f64())
        }
    };
    Err(TargetError::Flush {
        monitor: plan.monitor.clone(),
        why,
    })
}

async fn flush_once(url: &str, allowed: &Allowed) -> redis::RedisResult<()> {
    // To empty a large one takes its time; the deadline is the caller's.
    let connection = RedisConnection::open(url, allowed, CONNECT, None).await?;
    connection.ask::<()>(&redis::cmd("FLUSHALL")).await?;
    // After it, so that its own time is not the slowest command of the next probe.
    let mut forget = redis::cmd("CONFIG");
    forget.arg("RESETSTAT");
    connection.ask(&forget).await
}

/// Whether another try makes sense: nobody listens, the connection broke, or it still reads its
/// file.
fn may_come_back(error: &redis::RedisError) -> bool {
    let loading = redis::ServerErrorKind::BusyLoading;
    error.is_io_error() || error.kind() == redis::ErrorKind::Server(loading)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{UnixListener, UnixStream};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// A small Docker API: it knows the containers `alive`, `dead` and `stuck`, and notes the
    /// restarts it is asked for.
    fn docker(socket: &Path) -> Arc<Mutex<Vec<String>>> {
        let listener = UnixListener::bind(socket).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&noted)));
            }
        });
        asked
    }

    async fn serve(mut stream: UnixStream, asked: Arc<Mutex<Vec<String>>>) {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut bytes).await {
            let text = String::from_utf8_lossy(&bytes[..n]).into_owned();
            let line = text.lines().next().unwrap_or_default().to_owned();
            let (status, body) = if line.contains("/nobody/") {
                (
                    "404 Not Found",
                    r#"{"message":"No such container: nobody"}"#.to_owned(),
                )
            } else if line.starts_with("GET ") {
                let running = !line.contains("/dead/");
                let state =
                    format!(r#"{{"Id":"1","State":{{"Running":{running}}},"HostConfig":{{}}}}"#);
                ("200 OK", state)
            } else {
                asked.lock().unwrap().push(line.clone());
                if line.contains("/stuck/") {
                    let why = r#"{"message":"cannot start: no space left on device"}"#;
                    ("500 Internal Server Error", why.to_owned())
                } else {
                    ("204 No Content", String::new())
                }
            };
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            if stream.write_all((head + &body).as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn plan(container: &str, when: RestartWhen) -> RestartPlan {
        RestartPlan {
            monitor: "it".to_owned(),
            container: container.to_owned(),
            when,
        }
    }

    #[tokio::test]
    async fn a_container_is_restarted_when_its_case_says_so() {
        use RestartWhen::{Always, Bloated, Dead};
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        let asked = docker(&socket);
        let engine = DockerEngine::at(socket).unwrap();
        for (container, when, bloated, wanted) in [
            ("alive", Dead, true, false),
            ("alive", Bloated, false, false),
            ("alive", Bloated, true, true),
            ("alive", Always, false, true),
            ("dead", Dead, false, true),
            ("dead", Bloated, false, true),
            ("dead", Always, false, true),
        ] {
            let bloated = if bloated {
                vec!["it".to_owned()]
            } else {
                vec!["other".to_owned()]
            };
            let plan = plan(container, when);
            restart_if_due(&engine, &plan, &bloated, LONG)
                .await
                .unwrap();
            let asked: Vec<String> = asked.lock().unwrap().drain(..).collect();
            let line = format!("POST /containers/{container}/restart?t=1 HTTP/1.1");
            let wanted: &[String] = if wanted { &[line] } else { &[] };
            assert_eq!(asked, wanted, "{plan:?} {bloated:?}");
        }
    }

    #[tokio::test]
    async fn a_restart_that_docker_refuses_tells_its_answer() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        docker(&socket);
        let engine = DockerEngine::at(socket).unwrap();
        for (container, when, wanted) in [
            (
                "stuck",
                RestartWhen::Always,
                "Docker answered 500 Internal Server Error: cannot start: no space left on device",
            ),
            (
                "nobody",
                RestartWhen::Always,
                "Docker answered 404 Not Found: No such container: nobody",
            ),
            (
                "nobody",
                RestartWhen::Dead,
                "there is no container `nobody`",
            ),
        ] {
            let plan = plan(container, when);
            let error = restart_if_due(&engine, &plan, &[], LONG).await.unwrap_err();
            let told = TargetError::Restart {
                container: plan.container,
                error,
            };
            assert_eq!(
                told.to_string(),
                format!("cannot restart the container `{container}`: {wanted}")
            );
        }
    }

    /// Ends the process when the test does.
    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }

    fn redis_server(dir: &Path) -> Option<Running> {
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket", "redis.sock"])
            .current_dir(dir)
            .stdout(Stdio::null())
            .spawn();
        child.ok().map(Running)
    }

    fn flush_plan(dir: &Path) -> FlushPlan {
        FlushPlan {
            monitor: "redis".to_owned(),
            url: format!("redis+unix://{}", dir.join("redis.sock").display()),
        }
    }

    #[tokio::test]
    async fn a_real_redis_is_emptied_with_its_statistics_also_when_it_just_starts() {
        let dir = tempfile::tempdir().unwrap();
        let Some(_server) = redis_server(dir.path()) else {
            println!("skipped: no redis-server here");
            return;
        };
        let plan = flush_plan(dir.path());
        // It may not listen yet.
        flush(&plan, &Allowed::default(), LONG).await.unwrap();
        let client = redis::Client::open(plan.url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut ask = async |command: &str, arguments: &[&str]| {
            let mut ask = redis::cmd(command);
            ask.arg(arguments);
            ask.query_async::<redis::Value>(&mut connection).await
        };
        ask("SET", &["a", "1"]).await.unwrap();
        ask("INCR", &["a", "wrong"]).await.unwrap_err();
        ask("SELECT", &["3"]).await.unwrap();
        ask("SET", &["b", "1"]).await.unwrap();
        flush(&plan, &Allowed::default(), LONG).await.unwrap();
        let info = ask("INFO", &["everything"]).await.unwrap();
        let info: String = redis::from_redis_value(info).unwrap();
        assert!(
            !info.contains("errorstat_ERR") && !info.contains("\ndb0:"),
            "{info}"
        );
        assert!(
            !info.contains("\ndb3:") && !info.contains("cmdstat_flushall"),
            "{info}"
        );
    }

    #[tokio::test]
    async fn a_redis_that_is_not_there_is_told_with_its_monitor() {
        let dir = tempfile::tempdir().unwrap();
        let plan = flush_plan(dir.path());
        let limit = Duration::from_millis(300);
        let error = flush(&plan, &Allowed::default(), limit)
            .await
            .unwrap_err()
            .to_string();
        let wanted = "cannot flush the Redis server of the monitor `redis`: it did not answer \
            within 0.3 s: ";
        assert!(error.starts_with(wanted), "{error}");
    }
}
