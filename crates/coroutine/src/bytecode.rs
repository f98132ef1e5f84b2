//! Modules that were compiled once and are loaded many times.

use std::fmt;
use std::sync::Arc;

use rquickjs::module::{Declared, WriteOptions};
use rquickjs::{Ctx, Module, Result};

/// The bytecode of a module, as this process' own interpreter wrote it. There is no other way to
/// come by one: bytecode from elsewhere could do anything.
#[derive(Clone)]
pub struct Bytecode(Arc<[u8]>);

impl Bytecode {
    /// That of a module, with its places and without its text.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn of(module: &Module<'_, Declared>) -> Result<Self> {
        let options = WriteOptions {
            strip_source: true,
            ..WriteOptions::default()
        };
        module.write(options).map(|bytes| Self(bytes.into()))
    }

    /// The module once more, in another interpreter.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn load<'js>(&self, ctx: &Ctx<'js>) -> Result<Module<'js, Declared>> {
        // SAFETY: `of` alone makes these bytes, of what the same version of the interpreter
        // compiled in this process, and nobody changes them. The interpreter copies what it keeps.
        unsafe { Module::load(ctx.clone(), &self.0) }
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Bytecode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytecode({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use rquickjs::{Context, Runtime};

    use super::*;

    #[test]
    fn a_module_is_loaded_in_another_interpreter() {
        let text = "const add = (a, b) => a + b; export default add(40, 2); export const text = \
                    `${add('a', 'b')}`;";
        let compile = || {
            let runtime = Runtime::new().expect("a runtime");
            let context = Context::full(&runtime).expect("a context");
            context.with(|ctx| {
                let module = Module::declare(ctx.clone(), "m.js", text).expect("it compiles");
                Bytecode::of(&module).expect("it is written")
            })
        };
        // The interpreter that compiled it is gone by now.
        let code = compile();
        assert!(code.size() > 0);
        let runtime = Runtime::new().expect("a runtime");
        let context = Context::full(&runtime).expect("a context");
        context.with(|ctx| {
            let (module, promise) = code.load(&ctx).and_then(Module::eval).expect("it runs");
            promise.finish::<()>().expect("it ends");
            assert_eq!(module.get::<_, i32>("default").expect("a number"), 42);
            assert_eq!(module.get::<_, String>("text").expect("a text"), "ab");
        });
    }
}
