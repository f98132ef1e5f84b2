//! Host functions for `k6`, `k6/metrics`, `k6/execution`, `k6/data`, timers and globals.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rquickjs::{
    Array, ArrayBuffer, Ctx, Exception, Function, IntoJs as _, Module, Object, Result, Value,
};

use crate::exchange::{MetricKind, Op, OpId, PrintLevel, Sample};
use crate::host::{Ended, Host, Wanted};
use crate::http::Pending;
use crate::http::{number, tags_of};
use crate::modules;
use crate::program::Metric;
use crate::stand_in;
use crate::thrown::OWN;

/// The longest that a script sleeps or a timer runs.
const LONGEST_WAIT_SECONDS: f64 = 366.0 * 24.0 * 3600.0;

/// The most metrics that a script may declare.
const MOST_METRICS: usize = 1_000;

/// Puts them into `to`.
pub(super) fn install<'js>(ctx: &Ctx<'js>, host: &Rc<Host>, to: &Object<'js>) -> Result<()> {
    flow(ctx, host, to)?;
    groups(ctx, host, to)?;
    metrics(ctx, host, to)?;
    files(ctx, host, to)?;
    arrays(ctx, host, to)?;
    execution(ctx, host, to)?;
    calls(ctx, host, to)
}

/// A time that a script gives, in seconds.
fn time(seconds: f64) -> Duration {
    if seconds > 0.0 {
        Duration::try_from_secs_f64(seconds.min(LONGEST_WAIT_SECONDS)).unwrap_or_default()
    } else {
        // Negative, or no number at all.
        Duration::ZERO
    }
}

fn bytes_of(tags: &[(String, String)]) -> usize {
    tags.iter()
        .map(|(name, value)| 64 + name.len() + value.len())
        .sum()
}

fn flow<'js>(ctx: &Ctx<'js>, host: &Rc<Host>, to: &Object<'js>) -> Result<()> {
    let own = Rc::clone(host);
    let sleep = move |ctx: Ctx<'js>, seconds: f64| -> Result<()> {
        own.go_on(&ctx)?;
        let id = own.begin(Op::Wait {
            time: time(seconds),
            is_think_time: true,
        });
        own.wait_for(&ctx, id).map(|_| ())
    };
    to.set("sleep", Function::new(ctx.clone(), sleep)?)?;

    let own = Rc::clone(host);
    let timer = move |ctx: Ctx<'js>, milliseconds: f64| -> Result<f64> {
        own.go_on(&ctx)?;
        if own.call.borrow().is_none() {
            return Err(Exception::throw_message(
                &ctx,
                "init code cannot start timers",
            ));
        }
        own.begins_one_more(&ctx)?;
        let time = time(milliseconds / 1e3);
        let op = Op::Wait {
            time,
            is_think_time: false,
        };
        Ok(number(own.begin_pending(op, Pending::Timer)))
    };
    to.set("timer", Function::new(ctx.clone(), timer)?)?;

    let own = Rc::clone(host);
    let drop = move |id: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates"
        )]
        own.drop_op(OpId(id as u64));
    };
    to.set("drop", Function::new(ctx.clone(), drop)?)?;

    let own = Rc::clone(host);
    let ended = move |ctx: Ctx<'js>| own.go_on(&ctx);
    to.set("goOn", Function::new(ctx.clone(), ended)?)?;

    let own = Rc::clone(host);
    let abort = move |ctx: Ctx<'js>, why: String| -> Result<()> {
        own.end(Ended::Aborted(why));
        own.go_on(&ctx)
    };
    to.set("abort", Function::new(ctx.clone(), abort)?)?;

    let own = Rc::clone(host);
    let print = move |level: u8, text: String| {
        let level = match level {
            0 => PrintLevel::Debug,
            1 => PrintLevel::Info,
            2 => PrintLevel::Warn,
            _ => PrintLevel::Error,
        };
        own.print(level, text);
    };
    to.set("print", Function::new(ctx.clone(), print)?)?;
    Ok(())
}

fn groups<'js>(ctx: &Ctx<'js>, host: &Rc<Host>, to: &Object<'js>) -> Result<()> {
    let own = Rc::clone(host);
    let check = move |ctx: Ctx<'js>, name: String, passed: bool, tags: Value<'js>| -> Result<()> {
        let tags = tags_of(&ctx, &tags)?;
        own.take_room(&ctx, 128 + name.len() + bytes_of(&tags))?;
        own.check(&name, passed, tags);
        Ok(())
    };
    to.set("check", Function::new(ctx.clone(), check)?)?;

    let own = Rc::clone(host);
    let enter = move |ctx: Ctx<'js>, name: String| -> Result<f64> {
        own.go_on(&ctx)?;
        own.take_room(&ctx, 256 + name.len())?;
        let mut tags = own.tags.borrow_mut();
        tags.groups.push(name);
        tags.renew();
        Ok(own.now.get().as_secs_f64())
    };
    to.set("enterGroup", Function::new(ctx.clone(), enter)?)?;

    let own = Rc::clone(host);
    let leave = move |since: f64| {
        let since = Duration::try_from_secs_f64(since).unwrap_or_default();
        own.end_group(own.now.get().saturating_sub(since));
        let mut tags = own.tags.borrow_mut();
        tags.groups.pop();
        tags.renew();
    };
    to.set("leaveGroup", Function::new(ctx.clone(), leave)?)?;

    let own = Rc::clone(host);
    let set = move |ctx: Ctx<'js>, name, value| own.set_tag(&ctx, name, value);
    to.set("setTag", Function::new(ctx.clone(), set)?)?;

    let own = Rc::clone(host);
    let tags = move |ctx: Ctx<'js>| -> Result<Object<'js>> {
        let all = Object::new(ctx)?;
        for (name, value) in own.base_tags().iter() {
            all.set(name.as_str(), value.as_str())?;
        }
        Ok(all)
    };
    to.set("tags", Function::new(ctx.clone(), tags)?)?;
    Ok(())
}

fn metrics<'js>(ctx: &Ctx<'js>, host: &Rc<Host>, to: &Object<'js>) -> Result<()> {
    let own = Rc::clone(host);
    let declare = move |ctx: Ctx<'js>, kind: u8, name: String, is_time: bool| -> Result<usize> {
        if own.call.borrow().is_some() {
            let words = "metrics are declared in init code only";
            return Err(Exception::throw_message(&ctx, words));
        }
        let kind = match kind {
            0 => MetricKind::Counter,
            1 => MetricKind::Gauge,
            2 => MetricKind::Rate,
            _ => MetricKind::Trend,
        };
        declare_metric(&own, kind, &name, is_time)
            .map_err(|words| Exception::throw_message(&ctx, &words))
    };
    to.set("declare", Function::new(ctx.clone(), declare)?)?;

    let own = Rc::clone(host);
    let add = move |ctx: Ctx<'js>, index: usize, value: f64, tags: Value<'js>| -> Result<()> {
        own.go_on(&ctx)?;
        if own.call.borrow().is_none() {
            let words = "init code cannot add values to metrics";
            return Err(Exception::throw_message(&ctx, words));
        }
        let tags = tags_of(&ctx, &tags)?;
        own.take_room(&ctx, 128 + bytes_of(&tags))?;
        let tags = own.tags_with(tags);
        if let Some(metric) = own.parts.metrics.get(index) {
            own.sample(Sample {
                metric: Arc::clone(&metric.name),
                kind: metric.kind,
                is_time: metric.is_time,
                value,
                tags,
            });
        }
        Ok(())
    };
    to.set("add", Function::new(ctx.clone(), add)?)?;
    Ok(())
}

/// The place of a metric among those of the program.
fn declare_metric(
    host: &Host,
    kind: MetricKind,
    name: &str,
    is_time: bool,
) -> std::result::Result<usize, String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins || !name.chars().all(is_word) || name.len() > 128 {
        return Err(format!(
            "`{name}` cannot be the name of a metric: it has up to 128 letters, digits and `_`, \
             and begins with no digit"
        ));
    }
    let same = |metric: &Metric| &*metric.name == name;
    let fits = |metric: &Metric| metric.kind == kind && metric.is_time == is_time;
    let other = || format!("the metric `{name}` was declared before as another kind");
    if let Some(index) = host.parts.metrics.iter().position(same) {
        let there = &host.parts.metrics[index];
        return if fits(there) { Ok(index) } else { Err(other()) };
    }
    let Some(loading) = &host.loading else {
        return Err(format!(
            "the metric `{name}` was not declared when the script was loaded"
        ));
    };
    let metrics = &mut loading.borrow_mut().metrics;
    if let Some(index) = metrics.iter().position(same) {
        return if fits(&metrics[index]) {
            Ok(index)
        } else {
            Err(other())
        };
    }
    if metrics.len() >= MOST_METRICS {
        return Err(format!("more than {MOST_METRICS} metrics are declared"));
    }
    metrics.push(Metric {
        name: name.into(),
        kind,
        is_time,
    });
    Ok(metrics.len() - 1)
}

fn files<'js>(ctx: &Ctx<'js>, host: &Rc<Host>, to: &Object<'js>) -> Result<()> {
    let own = Rc::clone(host);
    let open = move |ctx: Ctx<'js>, base: Option<String>, name: String, binary: bool| {
        if own.call.borrow().is_some() {
            let words = "open() is for init code only";
            return Err(Exception::throw_message(&ctx, words));
        }
        let base = base.unwrap_or_else(|| own.parts.entry.clone());
        let path = modules::resolve_file(&base, &name);
        let bytes = open_file(&own, &path)
            .map_err(|why| Exception::throw_message(&ctx, &format!("open(`{name}`): {why}")))?;
        if binary {
            return ArrayBuffer::new_copy(ctx.clone(), &bytes)?.into_js(&ctx);
        }
        String::from_utf8_lossy(&bytes).into_js(&ctx)
    };
    to.set("open", Function::new(ctx.clone(), open)?)?;

    let caller = |ctx: Ctx<'js>| caller(&ctx);
    to.set("caller", Function::new(ctx.clone(), caller)?)?;

    let own = Rc::clone(host);
    let resolve = move |ctx: Ctx<'js>, base: String, name: String| -> Result<String> {
        if let Some(name) = stand_in::resolve(&own, &base, &name) {
            return Ok(name);
        }
        modules::resolve(&base, &name).map_err(|words| Exception::throw_message(&ctx, &words))
    };
    to.set("resolve", Function::new(ctx.clone(), resolve)?)?;

    let load = move |ctx: Ctx<'js>, name: String| -> Result<Value<'js>> {
        let promise = Module::import(&ctx, format!("{}{name}", modules::WHOLE))?;
        let exports: Option<Result<Object>> = loop {
            match promise.result() {
                None if ctx.execute_pending_job() => {}
                result => break result,
            }
        };
        let Some(exports) = exports else {
            let words = format!("`{name}` cannot be required: it waits while it is loaded");
            return Err(Exception::throw_message(&ctx, &words));
        };
        let exports = exports?;
        match exports.get::<_, Value>(modules::OLD_EXPORTS)? {
            none if none.is_undefined() => Ok(exports.into_value()),
            old => Ok(old),
        }
    };
    to.set("load", Function::new(ctx.clone(), load)?)?;
    Ok(())
}

/// The module of the script's that called a function of the host's.
fn caller(ctx: &Ctx<'_>) -> Option<String> {
    // Between them lie the host's own functions.
    (0..8).find_map(|level| {
        let name = ctx.script_or_module_name(level)?.to_string().ok()?;
        (!name.starts_with(OWN)).then_some(name)
    })
}

fn open_file(host: &Host, path: &str) -> std::result::Result<Arc<[u8]>, String> {
    if let Some(bytes) = host.parts.files.get(path) {
        return Ok(Arc::clone(bytes));
    }
    let Some(loading) = &host.loading else {
        return Err("it was not opened when the script was loaded (as VU 0)".into());
    };
    if let Some(bytes) = loading.borrow().files.get(path) {
        return Ok(Arc::clone(bytes));
    }
    let bytes: Arc<[u8]> = host.read(Wanted::File(path.to_owned()))?.into();
    let mut loading = loading.borrow_mut();
    loading.take_room(bytes.len())?;
    loading.note(path, &bytes);
    loading.files.insert(path.to_owned(), Arc::clone(&bytes));
    Ok(bytes)
}

fn arrays<'js>(ctx: &Ctx<'js>, host: &Rc<Host>, to: &Object<'js>) -> Result<()> {
    let find = |host: &Host, name: &str| match host.parts.arrays.get(name) {
        Some(array) => Some(Arc::clone(array)),
        None => host
            .loading
            .as_ref()?
            .borrow()
            .arrays
            .get(name)
            .map(Arc::clone),
    };
    let own = Rc::clone(host);
    let length = move |name: String| find(&own, &name).map(|array| array.len());
    to.set("arrayLength", Function::new(ctx.clone(), length)?)?;

    let own = Rc::clone(host);
    let item = move |ctx: Ctx<'js>, name: String, index: usize| -> Result<Value<'js>> {
        match find(&own, &name)
            .as_ref()
            .and_then(|array| array.get(index))
        {
            Some(text) => ctx.json_parse(text.as_bytes()),
            None => Ok(Value::new_undefined(ctx)),
        }
    };
    to.set("arrayItem", Function::new(ctx.clone(), item)?)?;

    let own = Rc::clone(host);
    let make = move |ctx: Ctx<'js>, name: String, items: Array<'js>| -> Result<()> {
        let Some(loading) = &own.loading else {
            let words = format!("the SharedArray `{name}` was not made when the script was loaded");
            return Err(Exception::throw_message(&ctx, &words));
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items.iter::<String>() {
            texts.push(item?.into_boxed_str());
        }
        let mut loading = loading.borrow_mut();
        let bytes = texts.iter().map(|text| 16 + text.len()).sum();
        loading
            .take_room(bytes)
            .map_err(|words| Exception::throw_range(&ctx, words))?;
        loading.arrays.insert(name, texts.into());
        Ok(())
    };
    to.set("makeArray", Function::new(ctx.clone(), make)?)?;
    Ok(())
}

/// What `k6/execution` says, by its place: numbers, and names where there are some.
fn execution<'js>(ctx: &Ctx<'js>, host: &Rc<Host>, to: &Object<'js>) -> Result<()> {
    let own = Rc::clone(host);
    let facts = move |ctx: Ctx<'js>| -> Result<Object<'js>> {
        let to = Object::new(ctx.clone())?;
        to.set("now", own.now.get().as_secs_f64() * 1e3)?;
        to.set("idInTest", own.identity.id)?;
        to.set("idInInstance", own.identity.id_in_instance)?;
        let call = own.call.borrow();
        let Some(call) = &*call else {
            to.set("init", true)?;
            return Ok(to);
        };
        to.set("name", call.scenario.name.as_str())?;
        to.set("executor", call.scenario.executor.as_str())?;
        to.set("started", call.scenario.started.as_secs_f64() * 1e3)?;
        to.set("progress", call.progress)?;
        to.set("scenarioIteration", call.scenario_iteration)?;
        to.set("iteration", call.iteration)?;
        to.set("iterationInScenario", call.iteration_in_scenario)?;
        to.set("active", call.instance.vus_active)?;
        to.set("initialized", call.instance.vus_initialized)?;
        to.set("completed", call.instance.completed)?;
        to.set("interrupted", call.instance.interrupted)?;
        Ok(to)
    };
    to.set("facts", Function::new(ctx.clone(), facts)?)?;

    let own = Rc::clone(host);
    let options = move |ctx: Ctx<'js>| ctx.json_parse(own.parts.options.to_string());
    to.set("options", Function::new(ctx.clone(), options)?)?;
    Ok(())
}

/// What a call sets: `__ITER`, the scenario's own `__ENV`, cookies.
fn calls<'js>(ctx: &Ctx<'js>, host: &Rc<Host>, to: &Object<'js>) -> Result<()> {
    to.set("vu", host.identity.id)?;
    let env = Object::new(ctx.clone())?;
    for (name, value) in &host.parts.given.env {
        env.set(name.as_str(), value.as_str())?;
    }
    to.set("env", env)?;
    let own = Rc::clone(host);
    let begin = move |env: Object<'js>| -> Result<u64> {
        if !own.http.borrow().keeps_cookies() {
            own.jars.borrow_mut().clear();
        }
        let mut had = own.scenario_env.borrow_mut();
        let call = own.call.borrow();
        let Some(call) = &*call else { return Ok(0) };
        if *had != call.scenario.env {
            for name in had.keys() {
                match own.parts.given.env.get(name) {
                    Some(value) => env.set(name.as_str(), value.as_str())?,
                    None => env.remove(name.as_str())?,
                }
            }
            for (name, value) in &call.scenario.env {
                env.set(name.as_str(), value.as_str())?;
            }
            had.clone_from(&call.scenario.env);
        }
        Ok(call.iteration)
    };
    to.set("begin", Function::new(ctx.clone(), begin)?)?;
    Ok(())
}
