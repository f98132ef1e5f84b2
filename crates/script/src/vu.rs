//! A virtual user: one interpreter on a stack of its own.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use breakpoint_coroutine::{Coroutine, Step, wait};
use rquickjs::{
    Array, Context, Ctx, Function, Module, Object, Persistent, Promise, Runtime, Value,
};

use crate::exchange::{End, Happened, OpId, Tags, Thrown, ThrownKind, Turn, Until};
use crate::host::{Ended, Host, Input, Output, Wanted};
use crate::http::{self, Pending};
use crate::program::{LoadError, Parts, Program};
use crate::{api, modules, sockets, thrown};

/// The stack of a VU. It is reserved; a script takes of it what it needs.
const STACK_BYTES: usize = 1024 * 1024;

/// How much of it JavaScript may take: the rest is for host functions.
const SCRIPT_STACK_BYTES: usize = 640 * 1024;

/// Memory that a VU may take before its first collection of cycles.
const FIRST_COLLECTION_BYTES: usize = 1024 * 1024;

/// Who a VU is.
#[derive(Debug, Clone, Default)]
pub struct VuIdentity {
    /// `__VU` and `exec.vu.idInTest`: from 1; 0 where setup and teardown run.
    pub id: u64,
    /// `exec.vu.idInInstance`: the same, as long as one program makes the load.
    pub id_in_instance: u64,
}

/// What a function is called as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallKind {
    /// `setup()`: what it returns is asked for.
    Setup,
    /// The default function or that of a scenario.
    #[default]
    Iteration,
    /// `teardown()`.
    Teardown,
    /// `handleSummary()`: gets [`Call::data`], and what it returns is asked for.
    Summary,
}

/// The scenario that a call belongs to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScenarioFacts {
    /// Its name; empty where there is none.
    pub name: String,
    /// Its executor.
    pub executor: String,
    /// When it began, on the clock of [`Vu::turn`].
    pub started: Duration,
    /// Added to `__ENV` in its calls.
    pub env: BTreeMap<String, String>,
    /// The tags of all that is measured in its calls.
    pub tags: BTreeMap<String, String>,
}

/// What `exec.instance` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InstanceFacts {
    /// VUs that run.
    pub vus_active: u64,
    /// VUs that were made.
    pub vus_initialized: u64,
    /// Iterations that were completed.
    pub completed: u64,
    /// Iterations that were broken off.
    pub interrupted: u64,
}

/// A call of one of a script's functions.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// The exported function.
    pub function: String,
    /// As what it is called.
    pub kind: CallKind,
    /// In which scenario.
    pub scenario: Arc<ScenarioFacts>,
    /// `__ITER`: how many calls of this VU came before, in this program.
    pub iteration: u64,
    /// The same, in its scenario.
    pub iteration_in_scenario: u64,
    /// How many iterations all VUs of the scenario began before, in this program.
    pub scenario_iteration: u64,
    /// What share of the scenario's time is over.
    pub progress: f64,
    /// What `exec.instance` says.
    pub instance: InstanceFacts,
    /// What `setup` returned, as JSON; for [`CallKind::Summary`] what is summed up.
    pub data: Option<Arc<str>>,
}

/// A virtual user of a script. It stays on the thread that made it.
#[derive(Debug)]
pub struct Vu {
    /// Dropped before the rest, which is the last to know of it.
    host: Rc<Host>,
    body: Coroutine<Input, Output, ()>,
    next: Option<Box<Call>>,
    is_over: bool,
}

impl Vu {
    /// Makes one: runs the script's init code.
    ///
    /// # Errors
    /// Init code throws, or there is no memory.
    pub fn new(program: &Arc<Program>, identity: VuIdentity) -> Result<Self, LoadError> {
        let host = Host::new(Arc::clone(&program.parts), identity, false);
        let mut body = live(Rc::clone(&host))?;
        match body.resume(Input::Memory) {
            Step::Waits(Output::Made(made)) => made?,
            _ => {
                return Err(LoadError::new(
                    "the script's init code did not come to its end",
                ));
            }
        }
        Ok(Self {
            host,
            body,
            next: None,
            is_over: true,
        })
    }

    /// Calls a function; the next [`Self::turn`] begins it.
    pub fn call(&mut self, call: Call) {
        self.next = Some(Box::new(call));
    }

    /// Takes the call on with what happened meanwhile; `now` is the time since some start.
    pub fn turn(&mut self, now: Duration, happened: Vec<(OpId, Happened)>) -> Turn {
        let input = match self.next.take() {
            Some(call) if self.is_over => Input::Call(call, now),
            Some(call) => {
                // The call before is not over: it is broken off first.
                self.break_off();
                Input::Call(call, now)
            }
            None if self.is_over => return over(End::Returned(None)),
            None => Input::Turn(now, happened),
        };
        if self.body.has_ended() {
            return over(End::Threw(broken("the VU has ended")));
        }
        let Step::Waits(Output::Turn(turn)) = self.body.resume(input) else {
            self.is_over = true;
            return over(End::Threw(broken("the VU did not come to a wait")));
        };
        self.is_over = matches!(turn.until, Until::Over(_));
        turn
    }

    /// The tags of everything at this point of the script.
    pub fn tags(&self) -> Arc<Tags> {
        self.host.base_tags()
    }

    /// Whether a call is running.
    pub fn is_in_call(&self) -> bool {
        !self.is_over
    }

    /// Ends the call that runs, in the middle: what it waits for never comes.
    pub fn break_off(&mut self) {
        // A host function that waits fails, and each one after it; the interpreter ends whoever
        // catches that and runs on.
        while !self.is_over && !self.body.has_ended() {
            match self.body.resume(Input::Cancel) {
                Step::Waits(Output::Turn(turn)) => {
                    self.is_over = matches!(turn.until, Until::Over(_));
                }
                _ => self.is_over = true,
            }
        }
    }

    /// How many bytes its interpreter holds, its stack not counted; 0 while a call runs. This
    /// looks at all of them: it takes a while.
    pub fn memory(&mut self) -> usize {
        if !self.is_over || self.body.has_ended() {
            return 0;
        }
        match self.body.resume(Input::Memory) {
            Step::Waits(Output::Memory(bytes)) => bytes,
            _ => 0,
        }
    }
}

impl Drop for Vu {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.break_off();
        if !self.body.has_ended() {
            let _end = self.body.resume(Input::Cancel);
        }
    }
}

fn over(end: End) -> Turn {
    Turn {
        until: Until::Over(end),
        ..Turn::default()
    }
}

fn broken(words: &str) -> Thrown {
    Thrown {
        message: words.into(),
        place: None,
        stack: String::new(),
        kind: ThrownKind::Script,
    }
}

/// Runs a script's init code for the first time; files are read through `read`.
pub(crate) fn run_init(
    parts: Parts,
    identity: VuIdentity,
    read: &dyn Fn(&Wanted) -> Result<Vec<u8>, String>,
) -> Result<(Arc<Parts>, Rc<Host>), LoadError> {
    let parts = Arc::new(parts);
    let host = Host::new(Arc::clone(&parts), identity, true);
    let mut body = live(Rc::clone(&host))?;
    let mut input = Input::Memory;
    loop {
        match body.resume(input) {
            Step::Waits(Output::Read(wanted)) => input = Input::Read(read(&wanted)),
            Step::Waits(Output::Made(made)) => {
                let _end = body.resume(Input::Cancel);
                return made.map(|()| (parts, host));
            }
            _ => {
                return Err(LoadError::new(
                    "the script's init code did not come to its end",
                ));
            }
        }
    }
}

/// The life of a VU, which begins with its first taking up.
fn live(host: Rc<Host>) -> Result<Coroutine<Input, Output, ()>, LoadError> {
    Coroutine::new(STACK_BYTES, move |_| {
        let mut life = match Life::new(&host) {
            Ok(life) => life,
            Err(error) => {
                let _end = wait::<Input, Output>(Output::Made(Err(error)));
                return;
            }
        };
        let mut output = Output::Made(Ok(()));
        while let Ok(input) = wait::<Input, Output>(output) {
            output = match input {
                Input::Call(call, now) => Output::Turn(life.call(&host, call, now)),
                Input::Memory => Output::Memory(life.memory()),
                Input::Turn(..) => Output::Turn(over(End::Returned(None))),
                Input::Read(_) | Input::Cancel => return,
            };
        }
    })
    .map_err(|error| LoadError::new(format!("there is no room for a VU's stack: {error}")))
}

/// An interpreter with a script in it. Dropped from top to bottom.
struct Life {
    exports: Persistent<Object<'static>>,
    core: Persistent<Object<'static>>,
    /// What `setup` returned, as this VU has it.
    data: Option<(Arc<str>, Persistent<Value<'static>>)>,
    context: Context,
    runtime: Runtime,
}

impl Life {
    fn new(host: &Rc<Host>) -> Result<Self, LoadError> {
        let no_room = |error| LoadError::new(format!("the interpreter cannot be made: {error}"));
        let runtime = Runtime::new().map_err(no_room)?;
        runtime.set_memory_limit(host.parts.given.memory_limit);
        runtime.set_max_stack_size(SCRIPT_STACK_BYTES);
        runtime.set_gc_threshold(FIRST_COLLECTION_BYTES);
        runtime.set_loader(
            modules::Finder(Rc::clone(host)),
            modules::Reader(Rc::clone(host)),
        );
        let watch = Rc::clone(host);
        runtime.set_interrupt_handler(Some(Box::new(move || watch.must_end())));
        let watch = Rc::clone(host);
        runtime.set_host_promise_rejection_tracker(Some(Box::new(
            move |ctx, promise, reason, is_handled| {
                note_rejection(&watch, &ctx, &promise, &reason, is_handled);
            },
        )));
        let context = Context::full(&runtime).map_err(no_room)?;
        let made = context.with(|ctx| {
            let made = api::core(&ctx, host).and_then(|core| {
                let exports = evaluate(&ctx, host)?;
                Ok((
                    Persistent::save(&ctx, exports),
                    Persistent::save(&ctx, core),
                ))
            });
            made.map_err(|error| load_error(&ctx, host, &error))
        });
        let (exports, core) = made?;
        Ok(Self {
            exports,
            core,
            data: None,
            context,
            runtime,
        })
    }

    fn memory(&self) -> usize {
        let usage = self.runtime.memory_usage();
        usize::try_from(usage.malloc_size).unwrap_or(0)
    }

    fn call(&mut self, host: &Rc<Host>, call: Box<Call>, now: Duration) -> Turn {
        host.begin_call(call, now);
        let exports = self.exports.clone();
        let core = self.core.clone();
        let data = &mut self.data;
        let end = self.context.with(|ctx| {
            let running = Running { ctx: &ctx, host };
            match exports
                .restore(&ctx)
                .and_then(|exports| Ok((exports, core.restore(&ctx)?)))
            {
                Ok((exports, core)) => running.run(&exports, &core, data),
                Err(error) => End::Threw(thrown::take(&ctx, host, &error)),
            }
        });
        let mut turn = host.end_call();
        turn.until = Until::Over(end);
        turn
    }
}

/// The most rejections that are kept: one is told.
const MOST_REJECTED: usize = 100;

/// A promise was rejected, or somebody waits for one that was.
fn note_rejection<'js>(
    host: &Host,
    ctx: &Ctx<'js>,
    promise: &Value<'js>,
    reason: &Value<'js>,
    is_handled: bool,
) {
    let mut hasher = DefaultHasher::new();
    promise.hash(&mut hasher);
    let number = hasher.finish();
    host.rejected.borrow_mut().retain(|(own, _)| *own != number);
    let has_room = host.rejected.borrow().len() < MOST_REJECTED;
    if !is_handled && has_room && host.ended().is_none() {
        let thrown = thrown::describe(ctx, host, reason);
        host.rejected.borrow_mut().push((number, thrown));
    }
}

/// Runs the entry module; gives its exports.
fn evaluate<'js>(ctx: &Ctx<'js>, host: &Host) -> rquickjs::Result<Object<'js>> {
    let name = host.parts.entry.as_str();
    let promise = Module::import(ctx, format!("{}{name}", modules::WHOLE))?;
    while ctx.execute_pending_job() {}
    let Some(exports) = promise.result::<Object>() else {
        let words = "init code waits for what never happens: `await` at the top of a module";
        return Err(rquickjs::Exception::throw_message(ctx, words));
    };
    let exports = exports?;
    let old: Value = exports.get(modules::OLD_EXPORTS)?;
    let exports = old.into_object().unwrap_or(exports);
    if let Some(loading) = &host.loading {
        let options: Value = exports.get("options")?;
        let text = ctx.json_stringify(options)?;
        let text = text.map(|text| text.to_string()).transpose()?;
        let mut functions = Vec::new();
        for pair in exports.props::<String, Value>() {
            let (name, value) = pair?;
            if value.is_function() {
                functions.push(name);
            }
        }
        let mut loading = loading.borrow_mut();
        loading.options = text;
        loading.functions = functions;
    }
    Ok(exports)
}

fn load_error(ctx: &Ctx<'_>, host: &Host, error: &rquickjs::Error) -> LoadError {
    let thrown = thrown::take(ctx, host, error);
    if let Some(failed) = host
        .loading
        .as_ref()
        .and_then(|found| found.borrow_mut().failed.take())
    {
        return LoadError {
            stack: thrown.stack,
            ..failed
        };
    }
    LoadError {
        message: thrown.message,
        place: thrown.place,
        stack: thrown.stack,
    }
}

/// A call that runs.
struct Running<'a, 'js> {
    ctx: &'a Ctx<'js>,
    host: &'a Rc<Host>,
}

impl<'js> Running<'_, 'js> {
    fn run(
        &self,
        exports: &Object<'js>,
        core: &Object<'js>,
        data: &mut Option<(Arc<str>, Persistent<Value<'static>>)>,
    ) -> End {
        let end = self.to_end(exports, core, data);
        if let Some(Ended::Aborted(why)) = self.host.ended() {
            if end.is_err() {
                self.ctx.catch();
            }
            return End::Aborted(why);
        }
        match end {
            Ok(value) => match self.host.rejected.take().into_iter().next() {
                Some((_, thrown)) => End::Threw(thrown),
                None => End::Returned(value),
            },
            Err(error) => End::Threw(thrown::take(self.ctx, self.host, &error)),
        }
    }

    fn to_end(
        &self,
        exports: &Object<'js>,
        core: &Object<'js>,
        data: &mut Option<(Arc<str>, Persistent<Value<'static>>)>,
    ) -> rquickjs::Result<Option<String>> {
        let (kind, name) = match &*self.host.call.borrow() {
            Some(call) => (call.kind, call.function.clone()),
            None => return Ok(None),
        };
        let begin: Function = core.get("begin")?;
        begin.call::<_, ()>(())?;
        let argument = self.argument(data)?;
        let Some(function) = exports.get::<_, Value>(&*name)?.into_function() else {
            let words = format!("the script exports no function `{name}`");
            return Err(rquickjs::Exception::throw_reference(self.ctx, &words));
        };
        let value: Value = function.call((argument,))?;
        self.finish_loop(core, &value)?;
        self.host.go_on(self.ctx)?;
        let value = match value.clone().into_promise() {
            Some(promise) => promise.result::<Value>().transpose()?,
            None => Some(value),
        };
        match kind {
            CallKind::Setup | CallKind::Summary => {
                let Some(value) = value else { return Ok(None) };
                let text = self.ctx.json_stringify(value)?;
                text.map(|text| text.to_string()).transpose()
            }
            CallKind::Iteration | CallKind::Teardown => Ok(None),
        }
    }

    /// What the function gets.
    fn argument(
        &self,
        kept: &mut Option<(Arc<str>, Persistent<Value<'static>>)>,
    ) -> rquickjs::Result<Value<'js>> {
        let text = match &*self.host.call.borrow() {
            Some(call) if call.kind != CallKind::Setup => call.data.clone(),
            _ => None,
        };
        let Some(text) = text else {
            return Ok(Value::new_undefined(self.ctx.clone()));
        };
        if let Some((of, value)) = kept
            && (Arc::ptr_eq(of, &text) || *of == text)
        {
            return value.clone().restore(self.ctx);
        }
        let value = self.ctx.json_parse(text.as_bytes())?;
        *kept = Some((text, Persistent::save(self.ctx, value.clone())));
        Ok(value)
    }

    /// Goes on until nothing is left that could happen.
    fn finish_loop(&self, core: &Object<'js>, value: &Value<'js>) -> rquickjs::Result<()> {
        let main = value.clone().into_promise();
        loop {
            while self.host.ended().is_none() && self.ctx.execute_pending_job() {}
            self.host.go_on(self.ctx)?;
            // An iteration that has failed waits for nothing more.
            if let Some(Err(error)) = main.as_ref().and_then(Promise::result::<Value>) {
                return Err(error);
            }
            if !self.host.rejected.borrow().is_empty() {
                return Ok(());
            }
            if let Some((id, happened)) = self.host.next_happened() {
                self.dispatch(core, id, happened)?;
                continue;
            }
            if self.host.pending.borrow().is_empty() {
                return Ok(());
            }
            self.host.wait(self.ctx, Until::Anything)?;
        }
    }

    /// Gives the script what it waits for.
    fn dispatch(&self, core: &Object<'js>, id: OpId, happened: Happened) -> rquickjs::Result<()> {
        let Some(pending) = self.host.pending.borrow_mut().remove(&id) else {
            return Ok(());
        };
        let settle: Function = core.get("settle")?;
        match pending {
            Pending::Timer => settle.call((http::number(id),)),
            Pending::Exchange(exchange) => {
                let outcome: Option<(OpId, Array)> =
                    http::take_on(self.ctx, self.host, exchange, happened, id)?;
                match outcome {
                    Some((first, outcome)) => settle.call((http::number(first), outcome)),
                    None => Ok(()),
                }
            }
            Pending::Channel => {
                let is_over = sockets::ends(&happened);
                if !is_over {
                    self.host.pending.borrow_mut().insert(id, Pending::Channel);
                }
                let hear: Function = core.get("hear")?;
                let event = sockets::event(self.ctx, id, happened)?;
                hear.call((http::number(id), event, is_over))
            }
            Pending::Ignored => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
