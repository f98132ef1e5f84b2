//! The generators: what they can do, how they are called, how their percentiles are read.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::tool_output::{self, Percentiles};
use super::work::{Cell, Work};

/// Threads of the generators that have to be told: as many as there are cores on the machine that
/// they were compared on.
const THREADS: &str = "2";

/// A load generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tool {
    Ours,
    /// Ours with a plain POST, beside the one with more to do.
    OursFixed,
    Wrk,
    H2load,
    Oha,
    Autocannon,
    Goose,
    Hey,
    K6,
    Locust,
    K9,
    Artillery,
}

/// Where the programs are.
pub(crate) struct Places {
    /// This executable, which is also the server and our own generator.
    pub(crate) own: PathBuf,
    folders: Vec<PathBuf>,
    scripts: PathBuf,
}

impl Places {
    pub(crate) fn find(peers: &Path) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("this program does not find itself")?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = ["bin", "node_modules/.bin", "venv/bin"]
            .iter()
            .map(|folder| peers.join(folder))
            .collect();
        folders.extend(std::env::split_paths(&path));
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/scripts");
        Ok(Self {
            own,
            folders,
            scripts,
        })
    }

    pub(crate) fn has(&self, tool: Tool) -> bool {
        self.program(tool).is_some()
    }

    fn program(&self, tool: Tool) -> Option<PathBuf> {
        let name = match tool {
            Tool::Ours | Tool::OursFixed => return Some(self.own.clone()),
            Tool::Goose => "goose-peer".to_owned(),
            Tool::K9 => "k9".to_owned(),
            _ => tool.to_string(),
        };
        let mut candidates = self.folders.iter().map(|f| f.join(&name));
        candidates.find(|p| p.is_file())
    }

    fn script(&self, name: &str) -> PathBuf {
        self.scripts.join(name)
    }
}

impl Tool {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied()
    }

    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Ours | Self::OursFixed)
    }

    /// Whether a cell is for this generator. Sizes are left out where it would take minutes or
    /// gigabytes to get there.
    pub(crate) fn does(self, cell: Cell) -> bool {
        match cell.work {
            // Artillery takes minutes to have 500.
            Work::Get | Work::Post => match self {
                Self::OursFixed | Self::K9 => false,
                Self::Artillery => cell.vus <= 50,
                _ => true,
            },
            Work::Http2 => matches!(self, Self::Ours | Self::H2load | Self::Oha),
            Work::Template => self.is_ours(),
            // The others know no cookies, checks or values.
            Work::Session => self.is_ours() || matches!(self, Self::Goose | Self::Locust),
            Work::Tokens => !matches!(self, Self::OursFixed | Self::Artillery | Self::K9),
            // wrk stands beside them for what a request costs without a script.
            Work::Script | Work::Typical => {
                matches!(self, Self::Ours | Self::Wrk | Self::Locust | Self::K9)
            }
            Work::MemoryScript => self == Self::Ours,
            Work::Sse => matches!(self, Self::Ours | Self::Goose | Self::Locust),
            Work::Memory => match self {
                Self::Ours | Self::Wrk | Self::Oha => true,
                Self::Goose | Self::K6 => cell.vus <= 5_000,
                Self::Locust | Self::Autocannon | Self::Hey => cell.vus <= 1_000,
                Self::OursFixed | Self::H2load | Self::Artillery | Self::K9 => false,
            },
            Work::MemorySse => match self {
                Self::Ours => true,
                Self::Goose => cell.vus <= 5_000,
                Self::Locust => cell.vus <= 1_000,
                _ => false,
            },
            Work::Clock => self == Self::Ours || self.prints_percentiles(),
        }
    }

    fn prints_percentiles(self) -> bool {
        // h2load prints mean and deviation only, artillery not before all its loops are done.
        !matches!(
            self,
            Self::OursFixed | Self::H2load | Self::Artillery | Self::K9
        )
    }

    pub(crate) fn percentiles(self, text: &str) -> Option<Percentiles> {
        match self {
            Self::Wrk => tool_output::wrk(text),
            Self::Hey => tool_output::hey(text),
            Self::Oha => tool_output::oha(text),
            Self::Autocannon => tool_output::autocannon(text),
            Self::Ours | Self::OursFixed | Self::Goose | Self::K6 | Self::Locust => {
                tool_output::line(text)
            }
            Self::H2load | Self::Artillery | Self::K9 => None,
        }
    }

    /// The command that makes a cell's load on `http://ADDRESS` for a number of seconds.
    #[expect(clippy::too_many_lines, reason = "a table of command lines")]
    pub(crate) fn command(
        self,
        cell: Cell,
        address: &str,
        seconds: u64,
        places: &Places,
    ) -> anyhow::Result<Command> {
        if self == Self::Ours && cell.work.scripted() {
            return Ok(script(cell, address, seconds, places));
        }
        let program = places
            .program(self)
            .with_context(|| format!("{self} is not installed"))?;
        let mut command = Command::new(program);
        let two = cell.work == Work::Http2;
        let host = format!("{}://{address}", if two { "https" } else { "http" });
        let (route, posts) = (cell.work.route(), cell.work.posts());
        let url = match cell.work {
            Work::Script | Work::Typical => format!("{host}/get"),
            _ => format!("{host}/{route}"),
        };
        let (vus, seconds) = (cell.vus.to_string(), seconds.to_string());
        let question = places.script("question.json");
        match self {
            Self::Ours | Self::OursFixed => {
                let work = match self {
                    Self::OursFixed => Work::Post,
                    _ => cell.work,
                };
                let work = work.to_possible_value().context("every work has a name")?;
                command.args(["ours", "--url", &host, "--work", work.get_name()]);
                command.args(["--vus", &vus, "--seconds", &seconds]);
                if cell.work == Work::Clock {
                    command.arg("--settles");
                }
            }
            Self::Wrk => {
                command.args(["-t", THREADS, "-c", &vus, "--latency", "--timeout", "600s"]);
                command.args(["-d", &format!("{seconds}s")]);
                if posts {
                    command.arg("-s").arg(places.script("post.lua"));
                }
                command.arg(url);
            }
            Self::H2load => {
                command.arg(if two {
                    "--max-concurrent-streams=1"
                } else {
                    "--h1"
                });
                command.args(["-t", THREADS, "-c", &vus, "-D", &seconds]);
                if posts {
                    command.arg("-d").arg(question);
                    command.args(["-H", "content-type: application/json"]);
                }
                command.arg(url);
            }
            Self::Oha => {
                command.args(["--no-tui", "--output-format", "json", "-c", &vus]);
                command.args(["-z", &format!("{seconds}s")]);
                if two {
                    command.args(["--http2", "-p", "1", "--insecure"]);
                }
                if posts {
                    command.args(["-m", "POST", "-T", "application/json", "-D"]);
                    command.arg(question);
                }
                command.arg(url);
            }
            Self::Autocannon => {
                command.args(["-j", "-n", "-c", &vus, "-d", &seconds, "-t", "600"]);
                if posts {
                    command.args(["-m", "POST", "-H", "content-type=application/json", "-i"]);
                    command.arg(question);
                }
                command.arg(url);
            }
            Self::Hey => {
                command.args(["-c", &vus, "-t", "600", "-z", &format!("{seconds}s")]);
                if posts {
                    command.args(["-m", "POST", "-T", "application/json", "-D"]);
                    command.arg(question);
                }
                command.arg(url);
            }
            Self::Goose => {
                command.env("WORK", route);
                command.args(["--host", &host, "--users", &vus, "--increase-rate", "10000"]);
                command.args(["--run-time", &seconds, "--no-reset-metrics", "--quiet"]);
            }
            Self::K6 => {
                command.args(["run", "--quiet", "--no-usage-report", "--vus", &vus]);
                command.args(["--duration", &format!("{seconds}s")]);
                command.args(["-e", &format!("URL={host}"), "-e", &format!("WORK={route}")]);
                command.arg(places.script("k6.js"));
            }
            Self::Locust => {
                command.env("WORK", route);
                command.arg("-f").arg(places.script("locustfile.py"));
                command.args(["--headless", "--only-summary", "--users", &vus]);
                command.args(["--spawn-rate", &vus, "--run-time", &format!("{seconds}s")]);
                command.args(["--host", &host]);
            }
            Self::K9 => {
                command.env("URL", &host).env("WORK", route);
                command.env("VUS", &vus).env("SECONDS", &seconds);
                command.arg("run").arg(places.script("k9.py"));
            }
            Self::Artillery => {
                let name = format!("artillery-{route}.json");
                let phases =
                    format!(r#"{{"config":{{"phases":[{{"duration":1,"arrivalCount":{vus}}}]}}}}"#);
                command.args(["run", "--quiet", "--target", &host, "--overrides", &phases]);
                command.arg(places.script(&name));
                command.env("ARTILLERY_DISABLE_TELEMETRY", "true");
            }
        }
        Ok(command)
    }
}

/// The program itself with a script, everything on that a run has on. What it records goes to a
/// folder that is overwritten.
fn script(cell: Cell, address: &str, seconds: u64, places: &Places) -> Command {
    let vus = cell.vus;
    let mut command = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
    command
        .arg("ramp")
        .arg("--script")
        .arg(places.script("script.js"));
    command.args(["-e", &format!("URL=http://{address}")]);
    command.args(["-e", &format!("WORK={}", cell.work.route())]);
    command.args(["--stages", &format!("{vus}:1s,{vus}:{seconds}s")]);
    command.args(["--yes", "--quiet", "--out"]);
    command.arg(std::env::temp_dir().join("breakpoint-peers"));
    command
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.to_possible_value();
        f.write_str(name.as_ref().map_or("?", |n| n.get_name()))
    }
}
