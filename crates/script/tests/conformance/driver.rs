//! A driver in virtual time: it answers requests from a table, and remembers what a script does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use breakpoint_script::exchange::{
    Answer, End, Failed, Happened, HttpRequest, Message, Op, OpId, Sample, Thrown, Timings, Turn,
    Until,
};
use breakpoint_script::{
    Call, CallKind, Files, Given, LoadError, Program, ScenarioFacts, Vu, VuIdentity,
};

/// What a target answers.
pub(crate) type Answers = Box<dyn FnMut(&HttpRequest) -> Result<Answer, Failed>>;

/// Files by name.
#[derive(Debug, Default, Clone)]
pub(crate) struct Table(pub(crate) BTreeMap<String, Vec<u8>>);

impl Files for Table {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let name = path.to_string_lossy();
        self.0
            .get(&*name)
            .cloned()
            .ok_or_else(|| "there is no such file".into())
    }

    fn remote(&self, address: &str) -> Result<Vec<u8>, String> {
        self.0
            .get(address)
            .cloned()
            .ok_or_else(|| "it is not in the cache".into())
    }
}

/// A script with what its world answers.
pub(crate) struct World {
    pub(crate) program: Arc<Program>,
    pub(crate) answers: Answers,
    pub(crate) now: Duration,
    /// How long each answer takes.
    pub(crate) latency: Duration,
    pub(crate) requests: Vec<HttpRequest>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) printed: Vec<String>,
    pub(crate) thought: Duration,
    pub(crate) dropped: Vec<OpId>,
    pub(crate) most_at_once: usize,
    pub(crate) iteration: u64,
    pub(crate) data: Option<Arc<str>>,
    pub(crate) scenario: Arc<ScenarioFacts>,
    /// What happens to the next socket or stream, and when, milliseconds after its opening.
    pub(crate) channel: Vec<(u64, Happened)>,
    pub(crate) opened: Vec<(String, Vec<(String, String)>)>,
    pub(crate) sent: Vec<(OpId, Message)>,
    running: BTreeMap<(Duration, u64), (OpId, Happened)>,
    sequence: u64,
    vu: Option<Vu>,
}

/// Loads a script of one file.
pub(crate) fn load(script: &str) -> Result<Program, LoadError> {
    load_files(&[("script.js", script)])
}

/// Loads a script of several files; the first is its entry.
pub(crate) fn load_files(files: &[(&str, &str)]) -> Result<Program, LoadError> {
    load_given(files, &given())
}

pub(crate) fn load_given(files: &[(&str, &str)], given: &Given) -> Result<Program, LoadError> {
    let table = Table(
        files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
            .collect(),
    );
    Program::load(Path::new(files[0].0), &table, given)
}

/// What scripts of tests are given.
pub(crate) fn given() -> Given {
    Given {
        memory_limit: 32 * 1024 * 1024,
        longest_run: Duration::from_secs(1),
        ..Given::default()
    }
}

/// An answer of status 200.
pub(crate) fn ok(body: &str) -> Answer {
    answer(200, &[], body)
}

pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    Answer {
        status,
        status_text: if status == 200 {
            "OK".into()
        } else {
            String::new()
        },
        protocol: "HTTP/1.1",
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        body: Some(body.into()),
        remote: Some(([127, 0, 0, 1], 8080).into()),
        timings: Timings {
            blocked: Duration::from_millis(1),
            connecting: Duration::from_millis(2),
            tls_handshaking: Duration::from_millis(3),
            sending: Duration::from_millis(4),
            waiting: Duration::from_millis(5),
            receiving: Duration::from_millis(6),
        },
    }
}

/// Whether a request can be sent there: scripts leave it to their driver to say so.
fn is_http(address: &str) -> bool {
    url::Url::parse(address)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

impl World {
    /// A script whose requests are all answered with `ok`.
    pub(crate) fn new(script: &str) -> Self {
        Self::of(load(script).expect("the script is loaded"))
    }

    pub(crate) fn of(program: Program) -> Self {
        Self {
            program: Arc::new(program),
            answers: Box::new(|_| Ok(ok("ok"))),
            now: Duration::from_secs(100),
            latency: Duration::from_millis(10),
            requests: Vec::new(),
            samples: Vec::new(),
            printed: Vec::new(),
            thought: Duration::ZERO,
            dropped: Vec::new(),
            most_at_once: 0,
            iteration: 0,
            data: None,
            scenario: Arc::default(),
            channel: Vec::new(),
            opened: Vec::new(),
            sent: Vec::new(),
            running: BTreeMap::new(),
            sequence: 0,
            vu: None,
        }
    }

    /// With these answers.
    pub(crate) fn answering(
        mut self,
        answers: impl FnMut(&HttpRequest) -> Result<Answer, Failed> + 'static,
    ) -> Self {
        self.answers = Box::new(answers);
        self
    }

    /// Runs an iteration of the default function.
    pub(crate) fn iterate(&mut self) -> End {
        self.call("default", CallKind::Iteration)
    }

    /// Runs an iteration that must return; gives what it printed.
    pub(crate) fn run(&mut self) -> Vec<String> {
        self.printed.clear();
        match self.iterate() {
            End::Returned(_) => std::mem::take(&mut self.printed),
            other => panic!(
                "the iteration ended with {other:?}; printed: {:?}",
                self.printed
            ),
        }
    }

    /// Runs an iteration that must throw.
    pub(crate) fn throws(&mut self) -> Thrown {
        match self.iterate() {
            End::Threw(thrown) => thrown,
            other => panic!(
                "the iteration ended with {other:?}; printed: {:?}",
                self.printed
            ),
        }
    }

    /// The virtual user.
    pub(crate) fn vu(&mut self) -> Vu {
        let identity = VuIdentity {
            id: 1,
            id_in_instance: 1,
        };
        match self.vu.take() {
            Some(vu) => vu,
            None => Vu::new(&self.program, identity).expect("the VU is made"),
        }
    }

    pub(crate) fn call(&mut self, function: &str, kind: CallKind) -> End {
        let mut vu = self.vu();
        vu.call(Call {
            function: function.into(),
            kind,
            iteration: self.iteration,
            data: self.data.clone(),
            scenario: Arc::clone(&self.scenario),
            ..Call::default()
        });
        self.iteration += 1;
        let end = self.drive(&mut vu);
        self.vu = Some(vu);
        end
    }

    /// Runs `setup`, whose data later calls get.
    pub(crate) fn set_up(&mut self) -> End {
        let end = self.call("setup", CallKind::Setup);
        if let End::Returned(data) = &end {
            self.data = data.as_deref().map(Arc::from);
        }
        self.iteration = 0;
        end
    }

    /// Takes a call to its end.
    pub(crate) fn drive(&mut self, vu: &mut Vu) -> End {
        self.running.clear();
        let mut happened = Vec::new();
        for _ in 0..100_000 {
            let turn = vu.turn(self.now, std::mem::take(&mut happened));
            let mut missing: BTreeSet<OpId> = match self.note(turn) {
                Until::Over(end) => {
                    assert!(self.running.is_empty(), "left running: {:?}", self.running);
                    return end;
                }
                Until::Ended(ids) => ids.into_iter().collect(),
                Until::Anything => self
                    .running
                    .values()
                    .next()
                    .map(|one| one.0)
                    .into_iter()
                    .collect(),
            };
            assert!(!missing.is_empty(), "it waits for nothing");
            while !missing.is_empty() {
                let ((at, _), (id, what)) = self
                    .running
                    .pop_first()
                    .expect("it waits for what was begun");
                self.now = self.now.max(at);
                missing.remove(&id);
                happened.push((id, what));
            }
        }
        panic!("the call does not end");
    }

    fn note(&mut self, turn: Turn) -> Until {
        self.samples.extend(turn.samples);
        self.printed
            .extend(turn.printed.into_iter().map(|line| line.text));
        for (id, op) in turn.begun {
            self.carry_out(id, op);
        }
        for id in turn.dropped {
            self.running.retain(|_, (own, _)| *own != id);
            self.dropped.push(id);
        }
        let is_answer = |what: &Happened| matches!(what, Happened::Answered(_));
        let at_once = self
            .running
            .values()
            .filter(|(_, what)| is_answer(what))
            .count();
        self.most_at_once = self.most_at_once.max(at_once);
        turn.until
    }

    fn will_happen(&mut self, after: Duration, id: OpId, what: Happened) {
        self.sequence += 1;
        self.running
            .insert((self.now + after, self.sequence), (id, what));
    }

    fn carry_out(&mut self, id: OpId, op: Op) {
        match op {
            Op::Http(request) if !is_http(&request.url) => {
                let failed = Failed {
                    code: 1020,
                    message: format!("invalid URL: {:?}", request.url),
                };
                self.will_happen(self.latency, id, Happened::Failed(failed));
            }
            Op::Http(request) => {
                let happened = match (self.answers)(&request) {
                    Ok(answer) => Happened::Answered(Box::new(answer)),
                    Err(failed) => Happened::Failed(failed),
                };
                self.requests.push(*request);
                self.will_happen(self.latency, id, happened);
            }
            Op::Wait {
                time,
                is_think_time,
            } => {
                if is_think_time {
                    self.thought += time;
                }
                self.will_happen(time, id, Happened::Waited);
            }
            Op::OpenSocket(request) => {
                self.opened.push((request.url, request.headers));
                self.open(id);
            }
            Op::OpenStream(request) => {
                self.opened.push((request.url, request.headers));
                self.open(id);
            }
            Op::Send(to, message) => {
                self.sent.push((to, message));
                self.will_happen(Duration::from_millis(1), id, Happened::Sent);
            }
            Op::Close(channel, code, why) => {
                self.running.retain(|_, (own, _)| *own != channel);
                self.will_happen(self.latency, channel, Happened::Closed(code, why));
            }
        }
    }

    fn open(&mut self, id: OpId) {
        for (milliseconds, what) in std::mem::take(&mut self.channel) {
            self.will_happen(Duration::from_millis(milliseconds), id, what);
        }
    }

    /// The value of a request's header.
    pub(crate) fn header(&self, request: usize, name: &str) -> Option<&str> {
        let headers = &self.requests[request].headers;
        let found = headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body of a request as text.
    pub(crate) fn body(&self, request: usize) -> String {
        let body = self.requests[request].body.as_deref().unwrap_or_default();
        String::from_utf8(body.to_vec()).expect("a text")
    }

    /// Values of a metric with their tags.
    pub(crate) fn values(&self, metric: &str) -> Vec<f64> {
        let own = self
            .samples
            .iter()
            .filter(|sample| &*sample.metric == metric);
        own.map(|sample| sample.value).collect()
    }

    /// The value of a tag of each value of a metric.
    pub(crate) fn tags(&self, metric: &str, tag: &str) -> Vec<String> {
        let own = self
            .samples
            .iter()
            .filter(|sample| &*sample.metric == metric);
        own.map(|sample| {
            let found = sample.tags.iter().find(|(name, _)| name == tag);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        })
        .collect()
    }
}
