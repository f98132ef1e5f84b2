use std::path::Path;

use super::*;
use crate::exchange::Op;
use crate::{Files, Given};

struct OneFile(&'static str);

impl Files for OneFile {
    fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
        Ok(self.0.into())
    }

    fn remote(&self, address: &str) -> Result<Vec<u8>, String> {
        Err(format!("{address} is not there"))
    }
}

/// A VU, and what its host functions share: freed with the last of them.
fn made(script: &'static str) -> (Vu, Rc<Host>) {
    let program = Program::load(Path::new("s.js"), &OneFile(script), &Given::default());
    let parts = program.expect("it is loaded").parts;
    let host = Host::new(parts, VuIdentity::default(), false);
    let mut body = live(Rc::clone(&host)).expect("a stack");
    let step = body.resume(Input::Memory);
    assert!(matches!(step, Step::Waits(Output::Made(Ok(())))));
    let vu = Vu {
        host: Rc::clone(&host),
        body,
        next: None,
        is_over: true,
    };
    (vu, host)
}

fn begin(vu: &mut Vu) -> Turn {
    vu.call(Call {
        function: "default".into(),
        ..Call::default()
    });
    vu.turn(Duration::ZERO, Vec::new())
}

#[test]
fn a_vu_that_is_dropped_frees_all_that_it_holds() {
    let (mut vu, host) = made(
        "import http from 'k6/http'; const own = { http }; own.self = own;
         export default () => { http.cookieJar(); own.then = Promise.resolve(own); }",
    );
    assert!(matches!(
        begin(&mut vu).until,
        Until::Over(End::Returned(None))
    ));
    assert!(Rc::strong_count(&host) > 5);
    drop(vu);
    assert_eq!(Rc::strong_count(&host), 1);
}

#[test]
fn so_does_one_that_waits_and_catches_everything() {
    let (mut vu, host) = made(
        "import http from 'k6/http';
         export default () => {
           for (;;) { try { http.get('http://a.test/'); } catch { continue; } finally { continue; } }
         }",
    );
    let turn = begin(&mut vu);
    assert!(matches!(turn.begun[0].1, Op::Http(_)));
    assert!(vu.is_in_call());
    drop(vu);
    assert_eq!(Rc::strong_count(&host), 1);
}

#[test]
fn a_call_in_the_middle_of_another_breaks_that_one_off() {
    let (mut vu, _) = made(
        "import { sleep } from 'k6'; let n = 0;
         export default () => { n += 1; if (n === 1) sleep(100); console.log(n); }",
    );
    assert!(matches!(begin(&mut vu).until, Until::Ended(_)));
    let turn = begin(&mut vu);
    assert!(matches!(turn.until, Until::Over(End::Returned(None))));
    assert_eq!(turn.printed[0].text, "2");
    // Nothing more happens once it is over.
    let turn = vu.turn(Duration::ZERO, vec![(OpId(1), Happened::Waited)]);
    assert!(matches!(turn.until, Until::Over(End::Returned(None))));
}
