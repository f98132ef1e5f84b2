//! Runs JavaScript for the tests of this crate.

use rquickjs::{CatchResultExt, Context, Ctx, Object, Result, Runtime};

/// Evaluates a script with a module's exports as globals; its value as text, or what was thrown.
pub(crate) fn run(
    install: impl for<'js> Fn(&Ctx<'js>) -> Result<Object<'js>>,
    script: &str,
) -> std::result::Result<String, String> {
    let runtime = Runtime::new().expect("a runtime");
    // What goes wrong must not take the machine with it.
    runtime.set_memory_limit(1 << 30);
    let mut polls = 0_u64;
    runtime.set_interrupt_handler(Some(Box::new(move || {
        polls += 1;
        polls > 100_000
    })));
    let context = Context::full(&runtime).expect("a context");
    context.with(|ctx| {
        let exports = install(&ctx).catch(&ctx).map_err(|e| e.to_string())?;
        for name in exports.keys::<String>() {
            let name = name.expect("a name");
            let value: rquickjs::Value = exports.get(&*name).expect("its value");
            ctx.globals().set(&*name, value).expect("set");
        }
        ctx.globals().set("$script", script).expect("set");
        let eval = "(() => { const v = (0, eval)($script); return typeof v === 'object' \
                    && v !== null && !(v instanceof Promise) ? JSON.stringify(v) : v })()";
        let value: rquickjs::Value = ctx.eval(eval).catch(&ctx).map_err(|e| e.to_string())?;
        let value = match value.as_promise() {
            Some(promise) => promise.finish().catch(&ctx).map_err(|e| e.to_string())?,
            None => value,
        };
        ctx.globals().set("$value", value).expect("set");
        ctx.eval::<String, _>("String($value)")
            .catch(&ctx)
            .map_err(|e| e.to_string())
    })
}

/// The value of a script.
pub(crate) fn eval(
    install: impl for<'js> Fn(&Ctx<'js>) -> Result<Object<'js>>,
    script: &str,
) -> String {
    run(install, script).unwrap_or_else(|thrown| panic!("{script} threw {thrown}"))
}

/// What a script throws.
pub(crate) fn eval_error(
    install: impl for<'js> Fn(&Ctx<'js>) -> Result<Object<'js>>,
    script: &str,
) -> String {
    match run(install, script) {
        Ok(value) => panic!("{script} did not throw but gave {value}"),
        Err(thrown) => thrown,
    }
}
