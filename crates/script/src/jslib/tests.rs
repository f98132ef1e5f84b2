use rquickjs::loader::{BuiltinLoader, BuiltinResolver};
use rquickjs::{CatchResultExt, Context, Function, Module, Runtime, Value};

use super::*;

/// What the libraries import.
const K6: &str = "export function check(value, sets, tags) {
    globalThis.checked = [sets, tags];
    return Object.values(sets).every(Boolean);
}";
const EXECUTION: &str = "export default globalThis.execution;";

/// The host's `require`: what it gives lives as long as its context.
fn require<'js>(ctx: rquickjs::Ctx<'js>, _name: String) -> rquickjs::Result<Value<'js>> {
    crate::address::install_address(&ctx).map(rquickjs::Object::into_value)
}

/// Evaluates a script that has a library's exports as `lib`; its value as text.
fn run(library: &str, script: &str) -> std::result::Result<String, String> {
    let runtime = Runtime::new().expect("a runtime");
    // What goes wrong must not take the machine with it.
    runtime.set_memory_limit(1 << 30);
    let mut polls = 0_u64;
    runtime.set_interrupt_handler(Some(Box::new(move || {
        polls += 1;
        polls > 100_000
    })));
    runtime.set_loader(
        BuiltinResolver::default()
            .with_module("k6")
            .with_module("k6/execution"),
        BuiltinLoader::default()
            .with_module("k6", K6)
            .with_module("k6/execution", EXECUTION),
    );
    let context = Context::full(&runtime).expect("a context");
    context.with(|ctx| {
        let globals = ctx.globals();
        globals
            .set("require", Function::new(ctx.clone(), require))
            .expect("set");
        let prelude = "globalThis[Symbol.for('k6:require')] = require; globalThis.execution = {
            scenario: { name: 's', startTime: Date.now() - 90000, executor: 'ramping-vus' },
            vu: { tags: {} },
            test: { options: { scenarios: { s: { executor: 'ramping-vus', startVUs: 0, stages: [
                { duration: '1m', target: 5 }, { duration: 60000, target: 5 },
                { duration: '1m', target: 0 }] } } } } };
            globalThis.hex = (b) => Array.from(new Uint8Array(b), (c) =>
                String.fromCharCode(c)).join('');";
        ctx.eval::<(), _>(prelude).expect("a prelude");
        let address = format!("https://jslib.k6.io/{library}/1.4.0/index.js");
        let text = built_in(&address).expect("a library");
        let module = Module::declare(ctx.clone(), "lib", text).catch(&ctx);
        let module = module.map_err(|e| e.to_string())?;
        let (module, promise) = module.eval().catch(&ctx).map_err(|e| e.to_string())?;
        promise
            .finish::<()>()
            .catch(&ctx)
            .map_err(|e| e.to_string())?;
        globals
            .set("lib", module.namespace().expect("exports"))
            .expect("set");
        globals.set("script", script).expect("set");
        let value: Value = ctx
            .eval("(0, eval)(script)")
            .catch(&ctx)
            .map_err(|e| e.to_string())?;
        let value = match value.as_promise() {
            Some(promise) => promise.finish().catch(&ctx).map_err(|e| e.to_string())?,
            None => value,
        };
        globals.set("value", value).expect("set");
        let text = "typeof value === 'object' && value !== null ? JSON.stringify(value) \
                    : String(value)";
        ctx.eval::<String, _>(text)
            .catch(&ctx)
            .map_err(|e| e.to_string())
    })
}

fn all(library: &str, cases: &[(&str, &str)]) {
    for (script, wanted) in cases {
        let found = run(library, script).unwrap_or_else(|e| panic!("{script} threw {e}"));
        assert_eq!(found, *wanted, "{script}");
    }
}

#[test]
fn libraries_are_found_by_any_version_of_theirs() {
    for address in [
        "https://jslib.k6.io/k6-utils/1.4.0/index.js",
        "https://jslib.k6.io/url/1.0.0/index.js",
        "https://jslib.k6.io/papaparse/5.1.1/index.js",
        "https://jslib.k6.io/k6-summary/0.0.2/index.js",
        "https://jslib.k6.io/formdata/0.0.2/index.js",
    ] {
        assert!(built_in(address).is_some(), "{address}");
    }
    for address in [
        "https://jslib.k6.io/k6-utils/1.4.0/other.js",
        "https://jslib.k6.io/k6-utils/latest/index.js",
        "https://jslib.k6.io/k6-utils/1.4.0/index.js/x",
        "https://jslib.k6.io/k6-utils/index.js",
        "https://jslib.k6.io/httpx/0.1.0/index.js",
        "https://example.com/k6-utils/1.4.0/index.js",
        "",
    ] {
        assert!(built_in(address).is_none(), "{address}");
    }
}

#[test]
fn utils_draw_and_find() {
    all(
        "k6-utils",
        &[
            (
                "[...Array(500)].map(() => lib.randomIntBetween(2, 4)).sort().filter((n, i, a) => \
                 n !== a[i - 1]).join()",
                "2,3,4",
            ),
            ("['a', 'b'].includes(lib.randomItem(['a', 'b']))", "true"),
            ("/^[a-z]{12}$/.test(lib.randomString(12))", "true"),
            ("/^[xy]{9}$/.test(lib.randomString(9, 'xy'))", "true"),
            ("lib.randomString(0)", ""),
            (
                "/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/\
                 .test(lib.uuidv4())",
                "true",
            ),
            ("lib.uuidv4() !== lib.uuidv4()", "true"),
            ("lib.findBetween('<b>1</b><b>2</b>', '<b>', '</b>')", "1"),
            (
                "lib.findBetween('<b>1</b><b>2</b>', '<b>', '</b>', true)",
                r#"["1","2"]"#,
            ),
            ("lib.findBetween('abc', '<', '>')", ""),
            ("lib.findBetween('abc<', '<', '>', true)", "[]"),
            ("lib.findBetween('ab', '', '', true).length", "3"),
            ("lib.parseDuration('1m30.5s')", "90500"),
            ("lib.parseDuration(250)", "250"),
        ],
    );
    assert!(run("k6-utils", "lib.parseDuration('x')").is_err());
}

#[test]
fn utils_know_stages() {
    all(
        "k6-utils",
        &[
            ("lib.getCurrentStageIndex()", "1"),
            (
                "lib.tagWithCurrentStageIndex(); execution.vu.tags",
                r#"{"stage":"1"}"#,
            ),
            (
                "lib.tagWithCurrentStageProfile(); execution.vu.tags.stage_profile",
                "steady",
            ),
            (
                "execution.scenario.startTime = Date.now(); lib.tagWithCurrentStageProfile(); \
                 execution.vu.tags.stage_profile",
                "ramp-up",
            ),
            (
                "execution.scenario.startTime = 0; lib.tagWithCurrentStageProfile(); \
                 execution.vu.tags.stage_profile + lib.getCurrentStageIndex()",
                "ramp-down2",
            ),
            (
                "const s = lib.normalDistributionStages(10, 20, 5); s.length + ' ' + \
                 s.map((x) => x.target).join() + ' ' + s.map((x) => x.duration).join()",
                "5 3,8,10,8,0 4s,4s,4s,4s,4s",
            ),
            ("lib.normalDistributionStages(10, 25).length", "10"),
        ],
    );
    let thrown = run(
        "k6-utils",
        "execution.scenario.name = 'other'; lib.getCurrentStageIndex()",
    );
    assert!(thrown.expect_err("no stages").contains("has no stages"));
}

#[test]
fn the_check_of_utils_waits() {
    all(
        "k6-utils",
        &[
            ("lib.check(1, { a: (v) => v === 1 }, { t: 1 })", "true"),
            ("lib.check(1, { a: (v) => v === 2 })", "false"),
            (
                "lib.check(Promise.resolve(1), { a: (v) => v === 1 }).then((is) => is)",
                "true",
            ),
            (
                "lib.check(1, { a: async (v) => v === 2 }).then((is) => [is, checked[0].a])",
                "[false,false]",
            ),
        ],
    );
}

#[test]
fn url_gives_the_classes_of_the_host() {
    all(
        "url",
        &[
            ("new lib.URL('http://a/b?c=d').searchParams.get('c')", "d"),
            ("new lib.URLSearchParams([['a', 1]]).toString()", "a=1"),
        ],
    );
}

const READ: &[(&str, &str)] = &[
    ("lib.parse('a,b\\n1,2').data", r#"[["a","b"],["1","2"]]"#),
    (
        "lib.default.parse('a,b\\n1,2', { header: true }).data",
        r#"[{"a":"1","b":"2"}]"#,
    ),
    (
        "lib.parse('a,b\\n1,2\\n', { header: true, skipEmptyLines: true }).data.length",
        "1",
    ),
    (
        "lib.parse('a,b\\n1,2\\n', { header: true }).data.length",
        "2",
    ),
    ("lib.parse('a;b\\n1;2').meta.delimiter", ";"),
    (
        "lib.parse('a\\tb\\r\\n1\\t2').data",
        r#"[["a","b"],["1","2"]]"#,
    ),
    (
        "lib.parse('a|b', { delimiter: '|' }).data",
        r#"[["a","b"]]"#,
    ),
    (
        r#"lib.parse('"a ""b""",c\n"x\ny",').data"#,
        r#"[["a \"b\"","c"],["x\ny",""]]"#,
    ),
    (r#"lib.parse('"a",b\n1,"2"  \n').data[1]"#, r#"["1","2"]"#),
    (r#"lib.parse('"a').errors[1].code"#, "MissingQuotes"),
    (
        "lib.parse('a,1,true,,x', { dynamicTyping: true }).data",
        r#"[["a",1,true,null,"x"]]"#,
    ),
    (
        "lib.parse('a,b\\n1,2', { header: true, dynamicTyping: { a: true } }).data",
        r#"[{"a":1,"b":"2"}]"#,
    ),
    (
        "lib.parse('#x\\na,b', { comments: '#' }).data",
        r#"[["a","b"]]"#,
    ),
    (
        "lib.parse('a,b\\n1,2\\n3,4', { preview: 1 }).data",
        r#"[["a","b"]]"#,
    ),
    (
        "lib.parse('a\\n1\\n2', { header: true, transform: (v) => v + '!' }).data",
        r#"[{"a":"1!"},{"a":"2!"}]"#,
    ),
    (
        "lib.parse('a b,c\\n1,2', { header: true, transformHeader: (h) => h.trim()[0] })\
      .meta.fields",
        r#"["a","c"]"#,
    ),
    (
        "lib.parse('a,a\\n1,2', { header: true }).data",
        r#"[{"a":"1","a_1":"2"}]"#,
    ),
    (
        "lib.parse('a,b\\n1\\n1,2,3', { header: true }).errors.map((e) => e.code)",
        r#"["TooFewFields","TooManyFields"]"#,
    ),
    ("lib.parse('').data", "[]"),
    ("lib.parse('\\ufeffa,b').data", r#"[["a","b"]]"#),
    (
        "let n = 0; lib.parse('a,b\\nc,d\\ne,f', { step: (r, p) => { n++; if (n === 2) \
      p.abort() } }).meta.aborted + ' ' + n",
        "true 2",
    ),
    (
        "let r; lib.parse('a,b', { complete: (x) => { r = x } }); r.data",
        r#"[["a","b"]]"#,
    ),
    (
        "lib.parse('a,b\\n , \\n', { skipEmptyLines: 'greedy' }).data",
        r#"[["a","b"]]"#,
    ),
];

#[test]
fn csv_is_read() {
    all("papaparse", READ);
}

#[test]
fn csv_is_written() {
    all(
        "papaparse",
        &[
            ("lib.unparse([['a', 'b'], [1, null]])", "a,b\r\n1,"),
            (
                "lib.unparse([{ a: 1, b: 'x,y' }, { a: 2 }])",
                "a,b\r\n1,\"x,y\"\r\n2,",
            ),
            (
                "lib.unparse([{ a: 1, b: 2 }], { columns: ['b'], header: false })",
                "2",
            ),
            (
                "lib.unparse({ fields: ['a'], data: [['\"x\"'], [' y']] }, { newline: '\\n' })",
                "a\n\"\"\"x\"\"\"\n\" y\"",
            ),
            (
                "lib.unparse([['a', 'b']], { quotes: true, delimiter: ';' })",
                "\"a\";\"b\"",
            ),
            ("lib.unparse('[[1,2]]')", "1,2"),
            (
                "lib.unparse([['a'], [''], ['b']], { skipEmptyLines: true, newline: ' ' })",
                "a b",
            ),
            (
                "const rows = [['a\"', 'b\\n', ''], [' c', ',', 'd']]; \
              JSON.stringify(lib.parse(lib.unparse(rows), { delimiter: ',' }).data) === \
              JSON.stringify(rows)",
                "true",
            ),
        ],
    );
}

#[test]
fn forms_with_files_are_written() {
    let script = "const f = new lib.FormData(); f.append('a', 'é'); f.append('b\"', { data: new \
                  Uint8Array([1, 65]).buffer, filename: 'x.png', content_type: 'image/png' }); \
                  f.append('c', new Uint8Array([66]), 'y'); hex(f.body()).replaceAll(f.boundary, \
                  'B')";
    let wanted = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\u{c3}\u{a9}\r\n\
                  --B\r\nContent-Disposition: form-data; name=\"b%22\"; filename=\"x.png\"\r\n\
                  Content-Type: image/png\r\n\r\n\u{1}A\r\n\
                  --B\r\nContent-Disposition: form-data; name=\"c\"; filename=\"y\"\r\n\
                  Content-Type: application/octet-stream\r\n\r\nB\r\n--B--\r\n";
    all(
        "formdata",
        &[
            (script, wanted),
            (
                "const f = new lib.FormData(); f.body() instanceof ArrayBuffer && \
              f.contentType === 'multipart/form-data; boundary=' + f.boundary",
                "true",
            ),
            (
                "new lib.FormData().boundary !== new lib.FormData().boundary",
                "true",
            ),
        ],
    );
}

#[test]
fn a_summary_is_text_and_junit() {
    let data = "const data = { options: {}, root_group: { name: '', checks: [{ name: 'ok', passes: \
                3, fails: 0 }], groups: [{ name: 'g', groups: [], checks: [{ name: 'bad', passes: \
                1, fails: 2 }] }] }, metrics: { http_reqs: { type: 'counter', contains: 'default', \
                values: { count: 30, rate: 2.5 } }, 'http_req_duration': { type: 'trend', contains: \
                'time', values: { avg: 1.234, min: 0.5, med: 1, max: 61000, 'p(90)': 2000, 'p(95)': \
                3 }, thresholds: { 'p(95)<5': { ok: true } } }, 'http_req_duration{name:x}': { \
                type: 'trend', contains: 'time', values: { avg: 1, min: 1, med: 1, max: 1, \
                'p(90)': 1, 'p(95)': 1 }, thresholds: { 'p(95)<\"1\"': { ok: false } } }, \
                http_req_failed: { type: 'rate', contains: 'default', values: { rate: 0.25, \
                passes: 1, fails: 3 } }, data_sent: { type: 'counter', contains: 'data', values: { \
                count: 12345, rate: 999 } }, vus: { type: 'gauge', contains: 'default', values: { \
                value: 5, min: 1, max: 9 } } } };";
    let text = run(
        "k6-summary",
        &format!(
            "{data} lib.textSummary(data, {{ indent: '', \
        enableColors: false }})"
        ),
    );
    let wanted = "    ✓ ok\n\n    █ g\n\n      ✗ bad\n       ↳  33% — ✓ 1 / ✗ 2\n\n\
    \u{20}   data_sent...........: 12 kB  999 B/s\n\
    \u{20} ✓ http_req_duration...: avg=1.23ms min=500µs med=1ms max=1m1s p(90)=2s  p(95)=3ms\n\
    \u{20} ✗   { name:x }........: avg=1ms    min=1ms   med=1ms max=1ms  p(90)=1ms p(95)=1ms\n\
    \u{20}   http_req_failed.....: 25.00% ✓ 1     ✗ 3\n\
    \u{20}   http_reqs...........: 30     2.5/s\n\
    \u{20}   vus.................: 5      min=1   max=9";
    assert_eq!(text.as_deref(), Ok(wanted));
    let colored = run(
        "k6-summary",
        &format!("{data} lib.textSummary(data).includes('\\x1b[32m')"),
    );
    assert_eq!(colored.as_deref(), Ok("true"));
    let junit = run(
        "k6-summary",
        &format!("{data} lib.jUnit(data, {{ name: 'a&b' }})"),
    );
    let wanted = "<?xml version=\"1.0\"?>\n<testsuites tests=\"2\" failures=\"1\">\n  \
        <testsuite name=\"a&#38;b\" tests=\"2\" failures=\"1\">\n    \
        <testcase name=\"http_req_duration - p(95)&#60;5\" classname=\"Unnamed folder\" />\n    \
        <testcase name=\"http_req_duration{name:x} - p(95)&#60;&#34;1&#34;\" \
        classname=\"Unnamed folder\"><failure message=\"failed\" /></testcase>\n  \
        </testsuite>\n</testsuites>";
    assert_eq!(junit.as_deref(), Ok(wanted));
    let empty = run(
        "k6-summary",
        "lib.textSummary({ metrics: {} }) + lib.humanizeValue(0, \
        { type: 'trend', contains: 'time' }) + lib.humanizeValue(90, { contains: 'time' }, 's')",
    );
    assert_eq!(empty.as_deref(), Ok("0s0.09s"));
}
