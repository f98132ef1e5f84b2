//! Lets a host function of a script wait.
//!
//! A script calls `http.get()` and expects the answer; the host has one thread for hundreds of
//! scripts. Each script therefore runs on a stack of its own: where it must wait, that stack is put
//! aside, and taken up again once there is what it waited for.
//!
//! This crate is the only one with unsafe code: here, in [`buffer`] and in [`bytecode`].

pub mod buffer;
pub mod bytecode;

use std::any::{Any, TypeId};
use std::cell::Cell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;

use corosensei::stack::DefaultStack;
use corosensei::{CoroutineResult, Yielder};

/// What a coroutine's body leaves behind: what it returned, or what it panicked with.
type Left<E> = Result<E, Box<dyn Any + Send>>;

/// A body with a stack of its own, which [`wait`]s for values of `I` and gives values of `O`.
///
/// It lives on the thread that made it. Dropped while its body waits, it is leaked with all that
/// the body holds: to unwind it would run code of a script, which may never end.
pub struct Coroutine<I: 'static, O: 'static, E: 'static> {
    inner: ManuallyDrop<corosensei::Coroutine<I, O, Left<E>>>,
    /// Bodies keep what belongs to their thread.
    thread: PhantomData<*const ()>,
}

/// What a body did when it was taken up.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<O, E> {
    /// It waits, and gave this.
    Waits(O),
    /// It has ended with this.
    Ended(E),
}

/// There is nothing to wait on: the caller does not run in a coroutine with these types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotInCoroutine;

impl fmt::Display for NotInCoroutine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing can wait here: no coroutine of this kind is running")
    }
}

impl std::error::Error for NotInCoroutine {}

/// A coroutine that runs; lies on that coroutine's own stack.
struct Running {
    /// Its `Yielder<I, O>`.
    yielder: *const (),
    /// The type of `(I, O)`.
    types: TypeId,
}

thread_local! {
    /// The innermost coroutine that runs on this thread, null where none does.
    static RUNNING: Cell<*const Running> = const { Cell::new(ptr::null()) };
}

impl<I: 'static, O: 'static, E: 'static> Coroutine<I, O, E> {
    /// A coroutine whose body has not begun, with a stack of so many bytes. They are reserved, not
    /// used.
    ///
    /// # Errors
    /// There is no address space for the stack.
    pub fn new<F>(stack_bytes: usize, body: F) -> io::Result<Self>
    where
        F: FnOnce(I) -> E + 'static,
    {
        let stack = DefaultStack::new(stack_bytes)?;
        let inner =
            corosensei::Coroutine::with_stack(stack, move |yielder: &Yielder<I, O>, first| {
                let running = Running {
                    yielder: ptr::from_ref(yielder).cast(),
                    types: TypeId::of::<(I, O)>(),
                };
                RUNNING.set(&raw const running);
                catch_unwind(AssertUnwindSafe(|| body(first)))
            });
        Ok(Self {
            inner: ManuallyDrop::new(inner),
            thread: PhantomData,
        })
    }

    /// Whether the body has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.inner.done()
    }

    /// Takes the body up with what it waits for, until it waits again or ends. What it panics with
    /// goes on here.
    ///
    /// # Panics
    /// The body has ended before.
    pub fn resume(&mut self, input: I) -> Step<O, E> {
        assert!(
            !self.inner.done(),
            "a coroutine that has ended is not taken up"
        );
        let outer = RUNNING.get();
        let result = self.inner.resume(input);
        RUNNING.set(outer);
        match result {
            CoroutineResult::Yield(output) => Step::Waits(output),
            CoroutineResult::Return(Ok(end)) => Step::Ended(end),
            CoroutineResult::Return(Err(panic)) => resume_unwind(panic),
        }
    }
}

impl<I, O, E> Drop for Coroutine<I, O, E> {
    fn drop(&mut self) {
        if self.inner.done() || !self.inner.started() {
            // SAFETY: it is not used after this; nothing else drops it.
            unsafe { ManuallyDrop::drop(&mut self.inner) }
        }
    }
}

impl<I, O, E> fmt::Debug for Coroutine<I, O, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coroutine")
            .field("has_ended", &self.inner.done())
            .finish_non_exhaustive()
    }
}

/// Puts the running coroutine aside, gives `output` to whoever took it up, and comes back with what
/// it is taken up with.
///
/// # Errors
/// No coroutine with these types runs here.
pub fn wait<I: 'static, O: 'static>(output: O) -> Result<I, NotInCoroutine> {
    let running = RUNNING.get();
    if running.is_null() {
        return Err(NotInCoroutine);
    }
    // SAFETY: it points into the stack of the coroutine that runs on this thread: `resume` puts
    // back what was there before as soon as that coroutine waits or ends, and its body sets it
    // again when it is taken up (below). So the stack and what lies on it are there.
    let Running { yielder, types } = unsafe { running.read() };
    if types != TypeId::of::<(I, O)>() {
        return Err(NotInCoroutine);
    }
    // SAFETY: the types are those that it was made with (just compared), and it lives as long as
    // the body, in which this runs.
    let yielder = unsafe { &*yielder.cast::<Yielder<I, O>>() };
    let input = yielder.suspend(output);
    RUNNING.set(running);
    Ok(input)
}

#[cfg(test)]
mod tests;
