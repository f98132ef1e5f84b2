use std::rc::Rc;

use super::{Coroutine, NotInCoroutine, Step, wait};

const STACK: usize = 256 * 1024;

fn adder() -> Coroutine<u32, u32, u32> {
    Coroutine::new(STACK, |first: u32| {
        let mut sum = first;
        while sum < 100 {
            sum += wait::<u32, u32>(sum).expect("it runs in a coroutine");
        }
        sum
    })
    .expect("a stack")
}

#[test]
fn values_go_in_and_out() {
    let mut one = adder();
    assert_eq!(one.resume(1), Step::Waits(1));
    assert_eq!(one.resume(40), Step::Waits(41));
    assert!(!one.has_ended());
    assert_eq!(one.resume(60), Step::Ended(101));
    assert!(one.has_ended());
}

#[test]
fn many_wait_at_a_time() {
    let mut all: Vec<_> = (0..200).map(|_| adder()).collect();
    for (index, one) in (0..).zip(&mut all) {
        assert_eq!(one.resume(index % 50), Step::Waits(index % 50));
    }
    for (index, one) in (0_u32..200).zip(&mut all).rev() {
        assert_eq!(one.resume(1), Step::Waits(index % 50 + 1));
    }
}

#[test]
fn nobody_waits_outside() {
    assert_eq!(wait::<u32, u32>(1), Err(NotInCoroutine));
    let mut one = adder();
    one.resume(1);
    assert_eq!(wait::<u32, u32>(1), Err(NotInCoroutine));
}

#[test]
fn nobody_waits_for_what_the_coroutine_is_not_made_of() {
    let mut one: Coroutine<u32, u32, bool> = Coroutine::new(STACK, |_| {
        wait::<u32, String>(String::new()) == Err(NotInCoroutine)
            && wait::<String, u32>(1) == Err(NotInCoroutine)
    })
    .expect("a stack");
    assert_eq!(one.resume(1), Step::Ended(true));
}

#[test]
fn one_runs_another() {
    let mut outer: Coroutine<u32, u32, u32> = Coroutine::new(STACK, |_| {
        let mut inner = adder();
        assert_eq!(inner.resume(1), Step::Waits(1));
        let own = wait::<u32, u32>(7).expect("outer waits");
        assert_eq!(inner.resume(own), Step::Waits(own + 1));
        assert_eq!(inner.resume(100), Step::Ended(own + 101));
        wait::<u32, u32>(8).expect("outer waits again")
    })
    .expect("a stack");
    assert_eq!(outer.resume(0), Step::Waits(7));
    assert_eq!(outer.resume(5), Step::Waits(8));
    assert_eq!(outer.resume(9), Step::Ended(9));
}

#[test]
fn a_panic_goes_on_where_it_was_taken_up() {
    let mut one: Coroutine<u32, u32, u32> = Coroutine::new(STACK, |_| {
        wait::<u32, u32>(1).expect("it waits");
        panic!("at the sight of a test")
    })
    .expect("a stack");
    one.resume(1);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| one.resume(2)));
    let panic = caught.expect_err("it panics");
    assert_eq!(
        panic.downcast_ref::<&str>(),
        Some(&"at the sight of a test")
    );
    assert!(one.has_ended());
    // Whoever waits now is on no coroutine.
    assert_eq!(wait::<u32, u32>(1), Err(NotInCoroutine));
}

#[test]
fn what_a_body_holds_is_freed_at_its_end_and_leaked_while_it_waits() {
    let held = Rc::new(());
    let make = |held: Rc<()>| -> Coroutine<u32, u32, u32> {
        Coroutine::new(STACK, move |_| {
            let input = wait::<u32, u32>(1).expect("it waits");
            drop(held);
            input
        })
        .expect("a stack")
    };
    drop(make(Rc::clone(&held)));
    assert_eq!(Rc::strong_count(&held), 1, "not begun");
    let mut ended = make(Rc::clone(&held));
    ended.resume(1);
    ended.resume(2);
    drop(ended);
    assert_eq!(Rc::strong_count(&held), 1, "ended");
    let mut waiting = make(Rc::clone(&held));
    waiting.resume(1);
    drop(waiting);
    assert_eq!(Rc::strong_count(&held), 2, "waiting");
}
