//! Scripts that do not end, take all memory, recurse, and throw odd values.

use breakpoint_script::exchange::{End, ThrownKind};

use crate::driver::World;

fn thrown_by(script: &str) -> breakpoint_script::exchange::Thrown {
    World::new(script).throws()
}

#[test]
fn an_endless_script_is_ended_with_its_line() {
    let thrown = thrown_by("export default () => {\n while (true) { Math.abs(1); }\n}");
    assert_eq!(thrown.kind, ThrownKind::Endless);
    let place = thrown.place.as_deref();
    assert!(
        place.is_some_and(|p| p.starts_with("script.js:2:")),
        "{thrown:?}"
    );
}

#[test]
fn an_endless_script_does_not_catch_its_end() {
    let mut world = World::new(
        "export default () => {
           try { while (true) { Math.abs(1); } } catch (e) { console.log('caught'); }
           finally { for (;;) {} }
         }",
    );
    assert_eq!(world.throws().kind, ThrownKind::Endless);
    assert!(world.printed.is_empty());
}

#[test]
fn an_endless_regular_expression_is_ended() {
    let thrown = thrown_by(
        "export default () => { try { /^(a+)+$/.test('a'.repeat(40) + '!'); } catch {} for (;;) {} }",
    );
    assert_eq!(thrown.kind, ThrownKind::Endless);
}

#[test]
fn endless_promises_are_ended() {
    let thrown = thrown_by("export default async () => { for (;;) { await null; } }");
    assert_eq!(thrown.kind, ThrownKind::Endless, "{thrown:?}");
    // Each holds the next: whichever limit comes first.
    let thrown = thrown_by(
        "export default async () => { const f = () => Promise.resolve().then(f); await f(); }",
    );
    assert!(
        matches!(thrown.kind, ThrownKind::Endless | ThrownKind::Memory),
        "{thrown:?}"
    );
}

#[test]
fn a_vu_goes_on_after_an_endless_iteration() {
    let mut world = World::new(
        "export default () => { if (__ITER === 0) { for (;;) {} } console.log('fine'); }",
    );
    assert_eq!(world.throws().kind, ThrownKind::Endless);
    assert_eq!(world.run(), ["fine"]);
}

#[test]
fn memory_is_limited() {
    let thrown = thrown_by(
        "export default () => { const all = []; for (;;) all.push(new Array(1000).fill(1.5)); }",
    );
    // What took the memory may be free again once nobody has caught the error.
    assert!(
        thrown.message.contains("memory that a VU may"),
        "{thrown:?}"
    );
    let thrown = thrown_by("export default () => { let s = 'abc'; for (;;) s += s; }");
    assert!(
        matches!(thrown.kind, ThrownKind::Memory | ThrownKind::Script),
        "{thrown:?}"
    );
}

#[test]
fn calls_within_calls_are_limited() {
    let thrown = thrown_by("export default () => { const f = () => f() + 1; f(); }");
    assert_eq!(thrown.kind, ThrownKind::Stack, "{thrown:?}");
    // Through host functions too.
    let thrown = thrown_by(
        "import { group } from 'k6';
         export default () => { const f = () => group('g', f); f(); }",
    );
    assert_eq!(thrown.kind, ThrownKind::Stack, "{thrown:?}");
    let thrown = thrown_by(
        "export default () => { let a = []; for (let i = 0; i < 100000; i++) a = [a]; JSON.stringify(a); }",
    );
    assert_eq!(thrown.kind, ThrownKind::Stack, "{thrown:?}");
}

#[test]
fn odd_values_are_described() {
    for (value, text) in [
        (
            "null",
            "null: the script threw it, or it needed more than the 32 MiB of memory that a VU may",
        ),
        ("undefined", "undefined"),
        ("42", "42"),
        ("'text'", "text"),
        ("{ a: 1 }", "{\"a\":1}"),
        ("Symbol('s')", "Symbol(s)"),
        ("{ get a() { throw 1; } }", "[object Object]"),
        (
            "{ toString() { throw 1; }, toJSON() { throw 1; } }",
            "something that has no text",
        ),
        (
            "new Proxy({}, { get() { throw 1; }, ownKeys() { throw 2; } })",
            "something that has no text",
        ),
        (
            "Object.defineProperty(new Error('m'), 'stack', { get() { throw 1; } })",
            "m",
        ),
        (
            "Object.defineProperty(new Error('m'), 'message', { get() { throw 1; } })",
            "",
        ),
        ("() => 1", "function v() {\n    [native code]\n}"),
        ("Object.create(null)", "{}"),
        ("10n", "10"),
    ] {
        let thrown = thrown_by(&format!(
            "export default () => {{ const v = {value}; throw v; }}"
        ));
        assert_eq!(thrown.message, text, "{value}");
        assert_eq!(thrown.kind, ThrownKind::Script, "{value}");
    }
}

#[test]
fn a_thrown_value_that_never_ends_is_ended() {
    let end = World::new("export default () => { throw { toJSON() { for (;;) {} } }; }").iterate();
    assert!(matches!(end, End::Threw(_)), "{end:?}");
}

#[test]
fn a_vu_that_waits_can_be_dropped() {
    let mut world = World::new(
        "import { sleep } from 'k6';
         export default () => { for (;;) { try { sleep(1); } catch (e) {} finally {} } }",
    );
    let mut vu = world.vu();
    vu.call(breakpoint_script::Call {
        function: "default".into(),
        ..Default::default()
    });
    vu.turn(std::time::Duration::ZERO, Vec::new());
    assert!(vu.is_in_call());
    vu.break_off();
    assert!(!vu.is_in_call());
    vu.call(breakpoint_script::Call {
        function: "default".into(),
        ..Default::default()
    });
    vu.turn(std::time::Duration::ZERO, Vec::new());
    drop(vu);
}

#[test]
fn memory_of_a_vu_is_known() {
    let mut world =
        World::new("const big = new Array(100000).fill(0.5); export default () => big;");
    let mut small = World::new("export default () => {}");
    let (big, small) = (world.vu().memory(), small.vu().memory());
    assert!(small > 10_000, "{small}");
    assert!(big > small + 500_000, "{big} {small}");
}

#[test]
fn what_a_script_makes_outside_of_its_memory_is_limited() {
    for (what, word) in [
        (
            "for (;;) check(1, { ['x'.repeat(1e6) + n++]: true });",
            "without waiting",
        ),
        (
            "for (;;) trend.add(1, { a: 'x'.repeat(1e6) });",
            "without waiting",
        ),
        (
            "const b = 'x'.repeat(1e6); http.batch(new Array(99).fill(['POST', 'http://a.test/', b]));",
            "without",
        ),
        ("for (;;) setTimeout(() => {}, 1e6);", "at a time"),
        ("for (;;) exec.vu.metrics.tags['t' + n++] = 'x';", "tags"),
        ("exec.vu.metrics.tags.a = 'x'.repeat(1e6);", "tags"),
        (
            "http.batch(new Array(20000).fill('http://a.test/'));",
            "batch",
        ),
        ("for (;;) new http.CookieJar();", "jars"),
    ] {
        let thrown = thrown_by(&format!(
            "import http from 'k6/http'; import {{ check }} from 'k6'; import exec from 'k6/execution';
             import {{ Trend }} from 'k6/metrics'; const trend = new Trend('t'); let n = 0; const all = [];
             export default () => {{ {} }}",
            what.replace("new http.CookieJar()", "all.push(new http.CookieJar())")
        ));
        assert_eq!(thrown.kind, ThrownKind::Script, "{what}: {thrown:?}");
        assert!(thrown.message.contains(word), "{what}: {thrown:?}");
    }
}

#[test]
fn cookies_are_limited() {
    let mut world = World::new(
        "import http from 'k6/http';
         export default () => {
           const jar = http.cookieJar(); const u = 'http://a.test/';
           for (let i = 0; i < 3000; i += 1) jar.set(u, `c${i}`, 'v');
           jar.set(u, 'long', 'x'.repeat(1e6));
           const all = jar.cookiesForURL(u);
           console.log(Object.keys(all).length, all.long);
         }",
    );
    assert_eq!(world.run(), ["1000 undefined"]);
}

#[test]
fn calls_on_what_claims_to_be_long_end() {
    let mut world = World::new(
        "const o = { length: 2 ** 40 }; const A = Array.prototype; const deep = [[], []];
         for (let i = 0; i < 60; i += 1) { deep[0] = [deep[0], deep[0]]; }
         const sparse = []; sparse.length = 4e9;
         const calls = [
           () => A.join.call(o), () => A.reverse.call(o), () => A.copyWithin.call(o, 1, 0),
           () => A.splice.call(o, 0, 1), () => A.unshift.call(o, 1), () => A.shift.call(o),
           () => A.concat.call([], { ...o, [Symbol.isConcatSpreadable]: true }),
           () => A.toLocaleString.call(o), () => A.toString.call({ ...o, join: A.join }),
           () => A.flatMap.call(o, (x) => x), () => A.sort.call(o), () => String.raw({ raw: o }),
           () => String(sparse), () => sparse.shift(), () => sparse.reverse(), () => sparse.sort(),
           () => [].concat(sparse, sparse), () => 'x'.repeat(2 ** 31), () => new ArrayBuffer(2 ** 40),
         ];
         export default () => {
           for (const call of calls) {
             try { call(); console.log('returned', call); } catch (e) {
               if (!(e instanceof RangeError)) console.log(e, String(call));
             }
           }
         }
         export const flat = () => deep.flat(Infinity);",
    );
    assert_eq!(world.run(), Vec::<String>::new());
    let end = world.call("flat", breakpoint_script::CallKind::Iteration);
    let End::Threw(thrown) = end else {
        panic!("{end:?}")
    };
    assert_eq!(thrown.kind, ThrownKind::Endless, "{thrown:?}");
}

#[test]
fn what_overwrites_the_language_ends_with_its_own_error() {
    for script in [
        "Array.prototype.map = () => { throw new Error('mine'); }; http.batch(['http://a.test/']); throw new Error('mine')",
        "Promise.prototype.then = () => { throw new Error('mine'); }; http.get('http://a.test/'); throw new Error('mine')",
        "delete globalThis.JSON; delete globalThis.Object; delete globalThis.Error; throw { message: 'mine' }",
        "Object.defineProperty(Object.prototype, 'timeout', { get() { throw new Error('mine'); } }); \
         http.get('http://a.test/', {}); throw new Error('mine')",
        "http.get('http://a.test/', new Proxy({}, { ownKeys() { throw new Error('mine'); } }))",
        "http.get(new Proxy({}, { get() { throw new Error('mine'); } }))",
        "http.post('http://a.test/', new Proxy({}, { ownKeys() { throw new Error('mine'); }, get() {} }))",
        "http.get('http://a.test/', { headers: { a: { toString() { throw new Error('mine'); } } } })",
        "http.get('http://a.test/', { get tags() { throw new Error('mine'); } })",
        "http.batch(new Proxy([], { ownKeys() { throw new Error('mine'); } }))",
        "check(1, { get a() { throw new Error('mine'); } })",
        "group({ toString() { throw new Error('mine'); } }, () => {})",
    ] {
        let thrown = thrown_by(&format!(
            "import http from 'k6/http'; import {{ check, group }} from 'k6';
             export default () => {{ {script} }}"
        ));
        assert!(thrown.message.contains("mine"), "{script}: {thrown:?}");
    }
}
