//! VUs that play a list of turns in place of a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use breakpoint_script::exchange::{
    BodyUse, End, Expected, Happened, HttpRequest, Message, Op, OpId, RequestName, Sample,
    SocketRequest, Tags, Turn, Until,
};

use super::{Called, MakesVus, ScriptKind, Talks};

/// What a VU does at one of its turns.
#[derive(Clone)]
pub(in crate::engine::native) enum Play {
    /// Sends these, and waits for all of them.
    Ask(Vec<HttpRequest>),
    /// Sleeps.
    Sleep(Duration),
    /// Keeps the thread busy, as JavaScript does.
    Busy(Duration),
    /// Opens a WebSocket, sends each of these when it is open or the one before was answered, and
    /// closes it.
    Chat(SocketRequest, Vec<Message>),
    /// Opens a stream and hears it to its end.
    Listen(HttpRequest),
    /// Measures something.
    Measure(Sample),
    /// Ends.
    End(End),
}

/// What a VU heard: its number, and what happened.
pub(in crate::engine::native) type Heard = Arc<Mutex<Vec<(u32, String)>>>;

/// All of them do the same in each function of a name.
#[derive(Clone)]
pub(in crate::engine::native) struct Plays {
    pub(in crate::engine::native) functions: Vec<(&'static str, Vec<Play>)>,
    pub(in crate::engine::native) heard: Heard,
    /// How many were made.
    pub(in crate::engine::native) made: Arc<Mutex<u32>>,
}

impl Plays {
    pub(in crate::engine::native) fn new(iteration: Vec<Play>) -> Self {
        Self {
            functions: vec![("default", iteration)],
            heard: Heard::default(),
            made: Arc::default(),
        }
    }
}

impl MakesVus for Plays {
    fn make(&self, number: u32, _kind: &ScriptKind) -> Result<Box<dyn Talks>, String> {
        *self.made.lock().unwrap() += 1;
        Ok(Box::new(Player {
            number,
            all: self.clone(),
            left: VecDeque::new(),
            last: 0,
            open: None,
        }))
    }
}

struct Player {
    number: u32,
    all: Plays,
    left: VecDeque<Play>,
    last: u64,
    /// What is open, and what it still sends.
    open: Option<(OpId, VecDeque<Message>)>,
}

impl Player {
    fn id(&mut self) -> OpId {
        self.last += 1;
        OpId(self.last)
    }

    /// What happened to what is open.
    fn goes_on(&mut self, happened: &Happened, turn: &mut Turn) {
        let Some((id, mut messages)) = self.open.take() else {
            return;
        };
        match happened {
            Happened::Opened(_) | Happened::Came(_) => {
                let op = match messages.pop_front() {
                    Some(message) => Op::Send(id, message),
                    None => Op::Close(id, 1000, String::new()),
                };
                turn.begun.push((self.id(), op));
                self.open = Some((id, messages));
            }
            Happened::Answered(_) | Happened::Event(_) => self.open = Some((id, messages)),
            _ => {}
        }
    }
}

impl Talks for Player {
    fn call(&mut self, call: &Called<'_>) {
        let data = call.data.map_or("-", |data| data);
        let said = format!("call {} {data}", call.function);
        self.all.heard.lock().unwrap().push((self.number, said));
        let of = |(name, _): &&(&str, Vec<Play>)| *name == call.function;
        let found = self.all.functions.iter().find(of);
        self.left = found
            .map(|(_, plays)| plays.clone())
            .unwrap_or_default()
            .into();
    }

    fn tags(&self) -> Arc<Tags> {
        Arc::new(vec![("scenario".to_owned(), "default".to_owned())])
    }

    fn break_off(&mut self) {
        self.left.clear();
    }

    fn turn(&mut self, happened: Vec<(OpId, Happened)>) -> Turn {
        let mut turn = Turn::default();
        for (id, happened) in happened {
            if self.open.as_ref().is_some_and(|(open, _)| *open == id) {
                self.goes_on(&happened, &mut turn);
            }
            let said = match happened {
                Happened::Answered(answer) => {
                    let body = answer
                        .body
                        .map(|body| String::from_utf8_lossy(&body).into_owned());
                    format!(
                        "{} {}",
                        answer.status,
                        body.unwrap_or_else(|| "-".to_owned())
                    )
                }
                Happened::Failed(failed) => format!("{} {}", failed.code, failed.message),
                Happened::Waited => "waited".to_owned(),
                Happened::Opened(answer) => format!("open {}", answer.status),
                other => format!("{other:?}"),
            };
            self.all.heard.lock().unwrap().push((self.number, said));
        }
        if self.open.is_some() {
            return turn;
        }
        loop {
            match self.left.pop_front() {
                Some(Play::Chat(request, messages)) => {
                    let id = self.id();
                    turn.begun.push((id, Op::OpenSocket(Box::new(request))));
                    self.open = Some((id, messages.into()));
                    return turn;
                }
                Some(Play::Listen(request)) => {
                    let id = self.id();
                    turn.begun.push((id, Op::OpenStream(Box::new(request))));
                    self.open = Some((id, VecDeque::new()));
                    return turn;
                }
                Some(Play::Ask(requests)) => {
                    for request in requests {
                        turn.begun.push((self.id(), Op::Http(Box::new(request))));
                    }
                    let ids = turn.begun.iter().map(|(id, _)| *id).collect();
                    turn.until = Until::Ended(ids);
                    return turn;
                }
                Some(Play::Sleep(time)) => {
                    let id = self.id();
                    let is_think_time = true;
                    turn.begun.push((
                        id,
                        Op::Wait {
                            time,
                            is_think_time,
                        },
                    ));
                    turn.until = Until::Ended(vec![id]);
                    return turn;
                }
                Some(Play::Busy(time)) => std::thread::sleep(time),
                Some(Play::Measure(sample)) => turn.samples.push(sample),
                Some(Play::End(end)) => {
                    turn.until = Until::Over(end);
                    return turn;
                }
                None => {
                    turn.until = Until::Over(End::Returned(None));
                    return turn;
                }
            }
        }
    }
}

/// A GET whose whole answer is wanted.
pub(in crate::engine::native) fn get(url: &str) -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: None,
        timeout: Duration::from_secs(10),
        body_use: BodyUse::Kept,
        name: RequestName::Address,
        tags: Arc::default(),
        expected: Expected::Statuses([200..=399].into()),
        keeps_connection: true,
        max_bytes: 1 << 20,
    }
}
