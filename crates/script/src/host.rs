//! What a VU's host functions share: what it begins and measures, what it waits for, and whether
//! it is still to run.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use breakpoint_coroutine::wait;
use rquickjs::{Ctx, Exception};
use url::Url;

use crate::exchange::{
    Happened, MetricKind, Op, OpId, PrintLevel, Printed, Sample, Tags, Thrown, ThrownKind, Turn,
    Until,
};
use crate::http::{Jars, Pending};
use crate::program::{Loading, Parts};
use crate::thrown::cut;
use crate::vu::{Call, CallKind, ScenarioFacts, VuIdentity};

/// Most check names, with tags, that are kept ready.
const MOST_READY_TAGS: usize = 1_000;

/// Most addresses that are kept, and the longest of them, bytes.
const MOST_ADDRESSES: usize = 32;
const LONGEST_ADDRESS: usize = 512;

/// The most operations that a script may have going.
const MOST_PENDING: usize = 10_000;

/// The most tags of its own that a script may set for all that follows, and the longest of them.
const MOST_TAGS: usize = 1_000;
const LONGEST_TAG: usize = 64 * 1024;

/// The longest name of a check whose tags are kept ready, bytes.
const LONGEST_READY: usize = 256;

/// Longest line that a script prints, bytes; the rest is cut.
const LONGEST_LINE: usize = 64 * 1024;

/// Most lines that are kept between two turns.
const MOST_LINES: usize = 1_000;

/// Goes into a VU.
pub(crate) enum Input {
    /// Begin a call.
    Call(Box<Call>, Duration),
    /// This happened; it is so late.
    Turn(Duration, Vec<(OpId, Happened)>),
    /// What a file holds, or why it is not read.
    Read(Result<Vec<u8>, String>),
    /// How much memory do you hold?
    Memory,
    /// End now.
    Cancel,
}

/// Comes out of a VU.
pub(crate) enum Output {
    /// Its init code has run.
    Made(Result<(), crate::LoadError>),
    /// It waits, or its call is over.
    Turn(Turn),
    /// It wants a file: while a program is loaded only.
    Read(Wanted),
    /// It holds so many bytes.
    Memory(usize),
}

/// What a script wants to have read.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// A module of its own.
    Module(String),
    /// A file for `open()`.
    File(String),
    /// A module by address.
    Remote(String),
}

/// Why a VU is no longer to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It ran on without waiting.
    Endless,
    /// `test.abort()`.
    Aborted(String),
    /// Nobody waits for it any longer.
    Cancelled,
}

/// What host functions share.
pub(crate) struct Host {
    /// What belongs to all VUs; what is found while it is loaded.
    pub(crate) parts: Arc<Parts>,
    pub(crate) loading: Option<RefCell<Loading>>,
    pub(crate) identity: VuIdentity,
    /// The call that runs; `None` in init code.
    pub(crate) call: RefCell<Option<Box<Call>>>,
    pub(crate) now: Cell<Duration>,
    turn: RefCell<Turn>,
    inbox: RefCell<VecDeque<(OpId, Happened)>>,
    last_op: Cell<u64>,
    /// Bytes since it last waited.
    bytes: Cell<usize>,
    taken_up: Cell<Instant>,
    ended: RefCell<Option<Ended>>,
    pub(crate) tags: RefCell<BaseTags>,
    pub(crate) pending: RefCell<HashMap<OpId, Pending>>,
    pub(crate) jars: RefCell<Jars>,
    pub(crate) http: RefCell<crate::http::Settings>,
    /// Addresses that were understood before.
    pub(crate) addresses: RefCell<HashMap<String, Option<Url>>>,
    /// This call was short of memory before.
    pub(crate) was_short: Cell<bool>,
    /// Promises that were rejected while nobody waited for them, by a number of theirs.
    pub(crate) rejected: RefCell<Vec<(u64, Thrown)>>,
    /// What the last scenario added to `__ENV`.
    pub(crate) scenario_env: RefCell<std::collections::BTreeMap<String, String>>,
}

/// The tags that everything gets.
#[derive(Debug, Default)]
pub(crate) struct BaseTags {
    /// Groups, outermost first.
    pub(crate) groups: Vec<String>,
    /// `exec.vu.metrics.tags`.
    pub(crate) own: Vec<(String, String)>,
    all: Option<Arc<Tags>>,
    ready: HashMap<Arc<str>, Arc<Tags>>,
}

impl BaseTags {
    /// They have changed.
    pub(crate) fn renew(&mut self) {
        self.all = None;
        self.ready.clear();
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not what it was given: that may be secret.
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

impl Host {
    pub(crate) fn new(parts: Arc<Parts>, identity: VuIdentity, is_loading: bool) -> Rc<Self> {
        let http = crate::http::Settings::of(&parts.options);
        Rc::new(Self {
            parts,
            loading: is_loading.then(RefCell::default),
            identity,
            call: RefCell::default(),
            now: Cell::default(),
            turn: RefCell::default(),
            inbox: RefCell::default(),
            last_op: Cell::new(0),
            bytes: Cell::new(0),
            taken_up: Cell::new(Instant::now()),
            ended: RefCell::default(),
            tags: RefCell::default(),
            pending: RefCell::default(),
            jars: RefCell::default(),
            http: RefCell::new(http),
            addresses: RefCell::default(),
            was_short: Cell::default(),
            rejected: RefCell::default(),
            scenario_env: RefCell::default(),
        })
    }

    /// The script runs from now on without waiting.
    pub(crate) fn is_taken_up(&self, now: Duration) {
        self.now.set(now);
        self.bytes.set(0);
        self.taken_up.set(Instant::now());
    }

    /// Whether the script must end at once: asked while it runs on.
    pub(crate) fn must_end(&self) -> bool {
        if self.ended.borrow().is_some() {
            return true;
        }
        let is_endless = self.taken_up.get().elapsed() > self.parts.given.longest_run;
        if is_endless {
            self.end(Ended::Endless);
        }
        is_endless
    }

    /// The script must end; the first reason counts.
    pub(crate) fn end(&self, why: Ended) {
        self.ended.borrow_mut().get_or_insert(why);
    }

    pub(crate) fn ended(&self) -> Option<Ended> {
        self.ended.borrow().clone()
    }

    /// Another call begins.
    pub(crate) fn begin_call(&self, call: Box<Call>, now: Duration) {
        self.is_taken_up(now);
        *self.ended.borrow_mut() = None;
        self.inbox.borrow_mut().clear();
        self.rejected.borrow_mut().clear();
        self.was_short.set(false);
        let mut tags = self.tags.borrow_mut();
        let is_same = call.kind == CallKind::Iteration && self.is_in(&call.scenario);
        if !is_same {
            tags.own.clear();
        }
        if !is_same || !tags.groups.is_empty() {
            tags.groups.clear();
            tags.renew();
        }
        *self.call.borrow_mut() = Some(call);
    }

    /// Whether the last call belonged to this scenario, with the same tags.
    fn is_in(&self, scenario: &Arc<ScenarioFacts>) -> bool {
        self.call.borrow().as_ref().is_some_and(|last| {
            Arc::ptr_eq(&last.scenario, scenario)
                || last.scenario.name == scenario.name && last.scenario.tags == scenario.tags
        })
    }

    /// What is left when a call is over: it belongs to no later one.
    pub(crate) fn end_call(&self) -> Turn {
        let mut turn = self.turn.take();
        let mut left: Vec<OpId> = self
            .pending
            .borrow_mut()
            .drain()
            .map(|(id, _)| id)
            .collect();
        left.sort_unstable();
        for id in left {
            turn.drop_op(id);
        }
        self.inbox.borrow_mut().clear();
        turn
    }

    /// Fails where the script must end: a script that catches it comes no further than the next
    /// host function.
    pub(crate) fn go_on(&self, ctx: &Ctx<'_>) -> rquickjs::Result<()> {
        if self.ended.borrow().is_some() {
            return Err(Exception::throw_message(ctx, "the script has been ended"));
        }
        Ok(())
    }

    /// Takes room for something that the script makes outside of its interpreter's memory, of which
    /// it may have as much again before it waits.
    pub(crate) fn take_room(&self, ctx: &Ctx<'_>, bytes: usize) -> rquickjs::Result<()> {
        let all = self.bytes.get().saturating_add(bytes);
        let most = self.parts.given.memory_limit;
        if all > most {
            let words = format!(
                "the script began and measured more than {} MiB without waiting",
                most >> 20
            );
            return Err(Exception::throw_range(ctx, &words));
        }
        self.bytes.set(all);
        Ok(())
    }

    /// Fails where the script has too much going.
    pub(crate) fn begins_one_more(&self, ctx: &Ctx<'_>) -> rquickjs::Result<()> {
        if self.pending.borrow().len() >= MOST_PENDING {
            let words = format!("the script waits for more than {MOST_PENDING} things at a time");
            return Err(Exception::throw_range(ctx, &words));
        }
        self.take_room(ctx, 256)
    }

    /// Sets a tag for all that follows, or takes it away.
    pub(crate) fn set_tag(
        &self,
        ctx: &Ctx<'_>,
        name: String,
        value: Option<String>,
    ) -> rquickjs::Result<()> {
        let mut tags = self.tags.borrow_mut();
        tags.own.retain(|(of, _)| *of != name);
        tags.renew();
        let Some(value) = value else { return Ok(()) };
        if tags.own.len() >= MOST_TAGS || name.len() + value.len() > LONGEST_TAG {
            let words = format!(
                "a script sets up to {MOST_TAGS} tags of up to {} KiB",
                LONGEST_TAG >> 10
            );
            return Err(Exception::throw_range(ctx, &words));
        }
        tags.own.push((name, value));
        Ok(())
    }

    /// Begins an operation.
    pub(crate) fn begin(&self, op: Op) -> OpId {
        let id = OpId(self.last_op.get() + 1);
        self.last_op.set(id.0);
        self.turn.borrow_mut().begun.push((id, op));
        id
    }

    /// Begins an operation that the event loop waits for.
    pub(crate) fn begin_pending(&self, op: Op, pending: Pending) -> OpId {
        let id = self.begin(op);
        self.pending.borrow_mut().insert(id, pending);
        id
    }

    /// An operation is no longer wanted.
    pub(crate) fn drop_op(&self, id: OpId) {
        if self.pending.borrow_mut().remove(&id).is_some() {
            self.turn.borrow_mut().drop_op(id);
        }
    }

    /// Waits; what happened is in the inbox then.
    pub(crate) fn wait(&self, ctx: &Ctx<'_>, until: Until) -> rquickjs::Result<()> {
        self.go_on(ctx)?;
        if self.call.borrow().is_none() {
            let words = "this waits, which init code cannot: call it in the default function, in \
                         setup() or in teardown()";
            return Err(Exception::throw_message(ctx, words));
        }
        let mut turn = self.turn.take();
        turn.until = until;
        match wait::<Input, Output>(Output::Turn(turn)) {
            Ok(Input::Turn(now, happened)) => {
                self.is_taken_up(now);
                self.inbox.borrow_mut().extend(happened);
                Ok(())
            }
            Ok(_) => {
                self.end(Ended::Cancelled);
                self.go_on(ctx)
            }
            Err(error) => Err(Exception::throw_message(ctx, &error.to_string())),
        }
    }

    /// Waits until one operation has ended, and gives what came of it. What else happens is left
    /// in the inbox.
    pub(crate) fn wait_for(&self, ctx: &Ctx<'_>, id: OpId) -> rquickjs::Result<Happened> {
        loop {
            self.wait(ctx, Until::Ended(vec![id]))?;
            if let Some(happened) = self.take_of(id) {
                return Ok(happened);
            }
        }
    }

    /// The first of what happened to one operation.
    pub(crate) fn take_of(&self, id: OpId) -> Option<Happened> {
        let mut inbox = self.inbox.borrow_mut();
        let at = inbox.iter().position(|(of, _)| *of == id)?;
        inbox.remove(at).map(|(_, happened)| happened)
    }

    /// The first of what happened to one of several operations.
    pub(crate) fn take_of_any(&self, ids: &[OpId]) -> Option<(OpId, Happened)> {
        let mut inbox = self.inbox.borrow_mut();
        let at = inbox.iter().position(|(of, _)| ids.contains(of))?;
        inbox.remove(at)
    }

    /// Takes away what the script does not hear of.
    pub(crate) fn forget_ignored(&self) {
        let mut pending = self.pending.borrow_mut();
        self.inbox.borrow_mut().retain(|(id, _)| {
            let is_ignored = matches!(pending.get(id), Some(Pending::Ignored));
            if is_ignored {
                pending.remove(id);
            }
            !is_ignored
        });
    }

    /// The first of what happened.
    pub(crate) fn next_happened(&self) -> Option<(OpId, Happened)> {
        self.inbox.borrow_mut().pop_front()
    }

    /// A script's file, module or address.
    pub(crate) fn read(&self, wanted: Wanted) -> Result<Vec<u8>, String> {
        if self.loading.is_none() {
            return Err("it was not there when the script was loaded".into());
        }
        let read = wait::<Input, Output>(Output::Read(wanted));
        self.taken_up.set(Instant::now());
        match read {
            Ok(Input::Read(read)) => read,
            Ok(_) => Err("the script has been ended".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A value of a metric.
    pub(crate) fn sample(&self, sample: Sample) {
        self.turn.borrow_mut().samples.push(sample);
    }

    /// A line of the script's.
    pub(crate) fn print(&self, level: PrintLevel, text: String) {
        let text = cut(text, LONGEST_LINE);
        let printed = &mut self.turn.borrow_mut().printed;
        if printed.len() < MOST_LINES {
            printed.push(Printed { level, text });
        }
    }

    /// An address of HTTP; scripts ask the same ones again and again.
    pub(crate) fn address(&self, text: &str) -> Option<Url> {
        let mut known = self.addresses.borrow_mut();
        if let Some(url) = known.get(text) {
            return url.clone();
        }
        let is_http = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let url = Url::parse(text).ok().filter(is_http);
        if known.len() >= MOST_ADDRESSES {
            known.clear();
        }
        if text.len() <= LONGEST_ADDRESS {
            known.insert(text.to_owned(), url.clone());
        }
        url
    }

    /// The tags of everything at this point of the script.
    pub(crate) fn base_tags(&self) -> Arc<Tags> {
        let mut base = self.tags.borrow_mut();
        if let Some(all) = &base.all {
            return Arc::clone(all);
        }
        let mut all = Tags::new();
        if let Some(call) = &*self.call.borrow() {
            for (name, value) in &call.scenario.tags {
                put(&mut all, name, value);
            }
            if !call.scenario.name.is_empty() {
                put(&mut all, "scenario", &call.scenario.name);
            }
        }
        if !base.groups.is_empty() {
            put(&mut all, "group", &group_path(&base.groups));
        }
        for (name, value) in &base.own {
            put(&mut all, name, value);
        }
        let all = Arc::new(all);
        base.all = Some(Arc::clone(&all));
        all
    }

    /// Those and others; `None` where there are no others.
    pub(crate) fn tags_with(&self, others: Vec<(String, String)>) -> Arc<Tags> {
        let base = self.base_tags();
        if others.is_empty() {
            return base;
        }
        let mut all = (*base).clone();
        for (name, value) in others {
            put(&mut all, &name, &value);
        }
        Arc::new(all)
    }

    /// What a check gives: a value of `checks`.
    pub(crate) fn check(&self, name: &str, passed: bool, others: Vec<(String, String)>) {
        let tags = if others.is_empty() {
            self.check_tags(name)
        } else {
            let mut all = (*self.base_tags()).clone();
            for (name, value) in others {
                put(&mut all, &name, &value);
            }
            put(&mut all, "check", name);
            Arc::new(all)
        };
        self.sample(Sample {
            metric: Arc::clone(&self.parts.checks),
            kind: MetricKind::Rate,
            is_time: false,
            value: f64::from(u8::from(passed)),
            tags,
        });
    }

    fn check_tags(&self, name: &str) -> Arc<Tags> {
        if let Some(ready) = self.tags.borrow().ready.get(name) {
            return Arc::clone(ready);
        }
        let mut all = (*self.base_tags()).clone();
        put(&mut all, "check", name);
        let all = Arc::new(all);
        if name.len() > LONGEST_READY {
            return all;
        }
        let ready = &mut self.tags.borrow_mut().ready;
        if ready.len() >= MOST_READY_TAGS {
            ready.clear();
        }
        ready.insert(name.into(), Arc::clone(&all));
        all
    }

    /// A value of `group_duration`.
    pub(crate) fn end_group(&self, took: Duration) {
        let tags = self.base_tags();
        self.sample(Sample {
            metric: Arc::clone(&self.parts.group_duration),
            kind: MetricKind::Trend,
            is_time: true,
            value: took.as_secs_f64() * 1e3,
            tags,
        });
    }

    /// What kind of end a script's end is, as far as the host ended it.
    pub(crate) fn kind_of_end(&self) -> Option<ThrownKind> {
        match self.ended()? {
            Ended::Endless => Some(ThrownKind::Endless),
            Ended::Aborted(_) | Ended::Cancelled => None,
        }
    }
}

/// `::outer::inner`.
fn group_path(groups: &[String]) -> String {
    groups
        .iter()
        .fold(String::new(), |path, group| path + "::" + group)
}

/// Sets a tag, in place of one of the same name.
pub(crate) fn put(tags: &mut Tags, name: &str, value: &str) {
    if let Some(there) = tags.iter_mut().find(|(of, _)| of == name) {
        value.clone_into(&mut there.1);
    } else {
        tags.push((name.to_owned(), value.to_owned()));
    }
}
