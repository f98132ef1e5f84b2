//! `k6`, `k6/metrics`, `k6/execution`, `k6/data`, `k6/timers` and globals.

use std::time::Duration;

use breakpoint_script::exchange::{End, MetricKind, ThrownKind};

use crate::driver::{World, load};

// javascript-api/k6/check: "check … returns true if all checks have succeeded, false otherwise"
#[test]
fn check_counts_each_and_says_whether_all_passed() {
    let mut world = World::new(
        "import { check } from 'k6';
         export default function () {
           console.log(check(5, { five: v => v === 5, 'is true': true }));
           console.log(check(5, { six: v => v === 6, five: v => v === 5 }, { mine: 'yes' }));
         }",
    );
    assert_eq!(world.run(), ["true", "false"]);
    assert_eq!(world.values("checks"), [1.0, 1.0, 0.0, 1.0]);
    assert_eq!(
        world.tags("checks", "check"),
        ["five", "is true", "six", "five"]
    );
    assert_eq!(world.tags("checks", "mine"), ["", "", "yes", "yes"]);
    assert!(
        world
            .samples
            .iter()
            .all(|sample| sample.kind == MetricKind::Rate)
    );
}

// using-k6/checks: "a failed check … doesn't cause the test to abort"
#[test]
fn a_check_that_throws_has_failed() {
    let mut world = World::new(
        "import { check } from 'k6';
         export default () => { console.log(check(null, { a: v => v.no.such })); }",
    );
    let printed = world.run();
    assert_eq!(printed.last().map(String::as_str), Some("false"));
    assert_eq!(world.values("checks"), [0.0]);
}

// javascript-api/k6/sleep: "duration, in seconds"
#[test]
fn sleep_takes_seconds_and_is_think_time() {
    let mut world = World::new(
        "import { sleep } from 'k6';
         export default () => { sleep(1.5); sleep(-1); sleep(NaN); sleep('2'); }",
    );
    let before = world.now;
    world.run();
    assert_eq!(world.thought, Duration::from_millis(3500));
    assert_eq!(
        world.now.saturating_sub(before),
        Duration::from_millis(3500)
    );
}

// Blocking calls within callbacks of the language itself.
#[test]
fn a_script_waits_within_callbacks() {
    let mut world = World::new(
        "import { sleep } from 'k6';
         export default () => {
           [1, 2].forEach(s => sleep(s));
           console.log([3, 1, 2].sort((a, b) => { sleep(0.1); return a - b; }).join());
           console.log('a-b'.replace(/-/, () => { sleep(1); return '+'; }));
           console.log(JSON.stringify({ toJSON() { sleep(1); return 7; } }));
         }",
    );
    assert_eq!(world.run(), ["1,2,3", "a+b", "7"]);
    assert!(world.thought > Duration::from_secs(5));
}

// javascript-api/k6/group: "returns the return value of fn"; using-k6/tags-and-groups: those within
// others are joined by `::`
#[test]
fn groups_nest_and_tag_what_is_in_them() {
    let mut world = World::new(
        "import { check, group, sleep } from 'k6';
         import http from 'k6/http';
         export default () => {
           console.log(group('outer', () => {
             sleep(1);
             group('inner', () => { check(1, { c: true }); http.get('http://a.test/'); });
             return 'mine';
           }));
           check(1, { d: true });
         }",
    );
    assert_eq!(world.run(), ["mine"]);
    assert_eq!(world.tags("checks", "group"), ["::outer::inner", ""]);
    assert_eq!(
        world.tags("group_duration", "group"),
        ["::outer::inner", "::outer"]
    );
    assert_eq!(world.values("group_duration"), [10.0, 1010.0]);
    let group = world.requests[0]
        .tags
        .iter()
        .find(|(name, _)| name == "group");
    assert_eq!(
        group.map(|(_, value)| value.as_str()),
        Some("::outer::inner")
    );
}

// javascript-api/k6/group: async functions are refused
#[test]
fn a_group_takes_no_async_function() {
    let mut world = World::new(
        "import { group } from 'k6';
         export default () => { group('a', async () => {}); }",
    );
    assert!(
        world.throws().message.contains("async"),
        "{:?}",
        world.throws()
    );
}

// A group that throws is left nevertheless.
#[test]
fn a_group_that_throws_is_left() {
    let mut world = World::new(
        "import { group, check } from 'k6';
         export default () => {
           try { group('a', () => { throw new Error('x'); }); } catch {}
           check(1, { c: true });
         }",
    );
    world.run();
    assert_eq!(world.tags("checks", "group"), [""]);
}

// javascript-api/k6/fail: "Immediately throw an error, aborting the current iteration"
#[test]
fn fail_ends_the_iteration() {
    let mut world = World::new(
        "import { fail } from 'k6';
         export default () => { fail('no way'); console.log('never'); }",
    );
    let thrown = world.throws();
    assert_eq!(thrown.message, "no way");
    assert_eq!(thrown.kind, ThrownKind::Fail);
    assert_eq!(thrown.place.as_deref(), Some("script.js:2:33"));
    assert!(world.printed.is_empty());
}

// javascript-api/k6/random-seed
#[test]
fn random_seed_makes_random_numbers_the_same() {
    let mut world = World::new(
        "import { randomSeed } from 'k6';
         export default () => {
           randomSeed(123); const a = [Math.random(), Math.random()];
           randomSeed(123); const b = [Math.random(), Math.random()];
           randomSeed(124); const c = [Math.random(), Math.random()];
           console.log(a.join() === b.join(), a.join() === c.join(), a.every(x => x >= 0 && x < 1));
         }",
    );
    assert_eq!(world.run(), ["true false true"]);
}

// javascript-api/k6-metrics
#[test]
fn metrics_take_values_with_tags() {
    let mut world = World::new(
        "import { Trend, Rate, Counter, Gauge } from 'k6/metrics';
         const t = new Trend('t', true), r = new Rate('r'), c = new Counter('c'), g = new Gauge('g');
         export default () => {
           t.add(12.5, { a: 'b' }); t.add('7'); r.add(false); r.add(3); c.add(2); g.add(-1);
           console.log(t.name);
         }",
    );
    assert_eq!(world.run(), ["t"]);
    assert_eq!(world.values("t"), [12.5, 7.0]);
    assert_eq!(world.tags("t", "a"), ["b", ""]);
    assert_eq!(world.values("r"), [0.0, 1.0]);
    assert_eq!(world.values("c"), [2.0]);
    assert_eq!(world.values("g"), [-1.0]);
    let kinds: Vec<_> = world
        .program
        .metrics()
        .iter()
        .map(|m| (m.kind, m.is_time))
        .collect();
    assert_eq!(kinds[0], (MetricKind::Trend, true));
    assert_eq!(
        kinds[1..],
        [
            (MetricKind::Rate, false),
            (MetricKind::Counter, false),
            (MetricKind::Gauge, false)
        ]
    );
}

// javascript-api/k6-metrics: metrics are made in init code
#[test]
fn metrics_are_declared_in_init_code_only() {
    let mut world = World::new(
        "import { Trend } from 'k6/metrics';
         export default () => { new Trend('late'); }",
    );
    assert!(world.throws().message.contains("init code"));
    let twice = load(
        "import { Trend, Rate } from 'k6/metrics';
         new Trend('a'); new Trend('a'); new Rate('a'); export default () => {}",
    );
    assert!(
        twice
            .expect_err("another kind")
            .message
            .contains("another kind")
    );
}

// javascript-api/k6-data/sharedarray: the function runs once; elements are read only copies
#[test]
fn a_shared_array_is_made_once_and_read_only() {
    let mut world = World::new(
        "import { SharedArray } from 'k6/data';
         const data = new SharedArray('users', () => {
           if (__VU !== 0) throw new Error('it ran again');
           return [{ n: 1 }, { n: 2 }, { n: 3 }];
         });
         export default () => {
           'use strict';
           console.log(data.length, data[1].n, data[3], JSON.stringify(data));
           let sum = 0; for (const one of data) sum += one.n; console.log(sum);
           console.log(data.map(one => one.n).join());
           console.log(data[0] === data[0]);
           try { data[0] = 1; } catch (e) { console.log('refused'); }
           try { data[0].n = 5; } catch (e) { console.log('refused'); }
           console.log(data[0].n, Array.isArray(data));
         }",
    );
    assert_eq!(
        world.run(),
        [
            "3 2 undefined [{\"n\":1},{\"n\":2},{\"n\":3}]",
            "6",
            "1,2,3",
            "false",
            "refused",
            "refused",
            "1 true"
        ]
    );
}

// javascript-api/k6-timers, and the event loop: an iteration ends when nothing is left to happen
#[test]
fn timers_run_before_the_iteration_ends() {
    let mut world = World::new(
        "import { setTimeout as later } from 'k6/timers';
         export default () => {
           let n = 0;
           const every = setInterval(() => {
             n += 1; console.log('tick', n); if (n === 3) clearInterval(every);
           }, 100);
           later((a, b) => console.log('late', a, b), 250, 1, 2);
           const never = setTimeout(() => console.log('never'), 10);
           clearTimeout(never);
           console.log('end');
         }",
    );
    let before = world.now;
    assert_eq!(
        world.run(),
        ["end", "tick 1", "tick 2", "late 1 2", "tick 3"]
    );
    assert_eq!(world.now.saturating_sub(before), Duration::from_millis(300));
    assert_eq!(world.thought, Duration::ZERO);
}

#[test]
fn async_functions_wait_for_promises() {
    let mut world = World::new(
        "import { sleep } from 'k6';
         const after = ms => new Promise(done => setTimeout(() => done(ms), ms));
         export default async function () {
           console.log(await after(5));
           const all = await Promise.all([after(30), after(20)]);
           console.log(all.join());
           sleep(1);
           console.log(await Promise.race([after(100), after(50)]));
         }",
    );
    let before = world.now;
    assert_eq!(world.run(), ["5", "30,20", "50"]);
    assert_eq!(
        world.now.saturating_sub(before),
        Duration::from_millis(1135)
    );
}

#[test]
fn what_an_async_function_throws_ends_the_iteration() {
    let mut world = World::new(
        "export default async function () {
           setTimeout(() => console.log('never'), 1000);
           clearTimeout(setTimeout(() => console.log('never'), 1));
           await null;
           throw new TypeError('later');
         }",
    );
    let thrown = world.throws();
    assert_eq!(thrown.message, "TypeError: later");
    assert!(world.dropped.is_empty(), "it never began");
    assert!(world.printed.is_empty());
}

// javascript-api/k6-execution
#[test]
fn execution_says_who_runs_what() {
    let mut world = World::new(
        "import exec from 'k6/execution';
         import { vu, scenario } from 'k6/execution';
         export const options = { vus: 3 };
         export default () => {
           console.log(exec.vu.idInTest, vu.iterationInInstance, scenario.name, scenario.executor);
           console.log(exec.test.options.vus, typeof exec.scenario.startTime);
           vu.metrics.tags.flow = 'login';
           vu.tags['n'] = 5;
           console.log(vu.tags.flow, vu.tags.n, Object.keys(vu.tags).join());
         }",
    );
    world.scenario = std::sync::Arc::new(breakpoint_script::ScenarioFacts {
        name: "spike".into(),
        executor: "constant-vus".into(),
        ..Default::default()
    });
    assert_eq!(
        world.run(),
        [
            "1 0 spike constant-vus",
            "3 number",
            "login 5 scenario,flow,n"
        ]
    );
}

// javascript-api/k6-execution#test: "abort … the test run is aborted"
#[test]
fn abort_cannot_be_caught() {
    let mut world = World::new(
        "import exec from 'k6/execution';
         import http from 'k6/http';
         export default () => {
           try { exec.test.abort('enough'); } catch (e) {}
           try { http.get('http://a.test/'); } finally { console.log('never'); while (true) {} }
         }",
    );
    assert_eq!(world.iterate(), End::Aborted("enough".into()));
    assert!(world.requests.is_empty());
}

// javascript-api/console
#[test]
fn console_prints_objects_with_what_is_in_them() {
    let mut world = World::new(
        "export default () => {
           console.log('a', 1, { b: [2] }, null, undefined, true);
           const cycle = {}; cycle.own = cycle; console.log(cycle);
           console.warn(Symbol('s'));
         }",
    );
    assert_eq!(
        world.run(),
        [
            "a 1 { b: [ 2 ] } null undefined true",
            "{ own: [Circular] }",
            "Symbol(s)"
        ]
    );
}

// A promise that is rejected while nobody waits for it ends the iteration.
#[test]
fn a_rejection_that_nobody_handles_fails_the_iteration() {
    let mut world = World::new("export default () => { Promise.reject(new Error('alone')); }");
    assert_eq!(world.throws().message, "alone");
    let mut world = World::new(
        "export default async () => {
           const p = Promise.reject(new Error('x')); try { await p; } catch { console.log('caught'); }
         }",
    );
    assert_eq!(world.run(), ["caught"]);
}

#[test]
fn what_is_left_of_an_iteration_that_throws_is_dropped() {
    let mut world = World::new(
        "import { sleep } from 'k6';
         export default () => {
           setTimeout(() => console.log('never'), 9000); sleep(1); throw 'out';
         }",
    );
    assert_eq!(world.throws().message, "out");
    assert_eq!(world.dropped.len(), 1);
}
