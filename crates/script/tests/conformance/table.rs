//! Many small cases: the section of k6's documents, what the default function does, what it prints.

use crate::driver::{World, answer};

const CASES: &[(&str, &str, &str)] = &[
    ("k6/check", "check(1, {}) ", "true"),
    ("k6/check", "check(1, { a: 1, b: 'x', c: {} })", "true"),
    ("k6/check", "check(1, { a: 0 })", "false"),
    ("k6/check", "check(1, { a: null })", "false"),
    ("k6/check", "check({ n: 1 }, { a: v => v.n })", "true"),
    ("k6/check", "check(1, { a: () => undefined })", "false"),
    ("k6/group", "group('g', () => 5)", "5"),
    ("k6/group", "group('g', () => {})", "undefined"),
    ("k6/group", "group('a', () => group('b', () => 'in'))", "in"),
    ("k6/sleep", "sleep(0)", "undefined"),
    (
        "k6",
        "Object.keys(k6).sort().join()",
        "check,fail,group,randomSeed,sleep",
    ),
    (
        "k6/random-seed",
        "(randomSeed(1), Math.random() < 1)",
        "true",
    ),
    (
        "k6-http/url",
        "http.url`http://a.test/${1}`.name",
        "http://a.test/${}",
    ),
    (
        "k6-http/url",
        "http.get(http.url`http://a.test/${'x'}`).url",
        "http://a.test/x",
    ),
    (
        "k6-http/get",
        "http.get('http://a.test').url",
        "http://a.test/",
    ),
    (
        "k6-http/get",
        "http.get('http://a.test/a b?c=d e').url",
        "http://a.test/a%20b?c=d%20e",
    ),
    (
        "k6-http/get",
        "http.get('HTTP://A.test/').url",
        "http://a.test/",
    ),
    (
        "k6-http/get",
        "http.get(new URL('http://a.test/u')).url",
        "http://a.test/u",
    ),
    (
        "k6-http/request",
        "http.request('get', 'http://a.test/').request.method",
        "GET",
    ),
    (
        "k6-http/head",
        "http.head('http://a.test/').request.method",
        "HEAD",
    ),
    (
        "k6-http/options",
        "http.options('http://a.test/').request.method",
        "OPTIONS",
    ),
    (
        "k6-http/del",
        "http.del('http://a.test/', 'b').request.body",
        "b",
    ),
    (
        "k6-http/put",
        "http.put('http://a.test/', { a: 'b c' }).request.body",
        "a=b+c",
    ),
    (
        "k6-http/patch",
        "http.patch('http://a.test/', '').request.body",
        "",
    ),
    (
        "k6-http/post",
        "http.post('http://a.test/', { b: 1, a: [true, 'x'] }).request.body",
        "a=true&a=x&b=1",
    ),
    (
        "k6-http/response",
        "http.get('http://a.test/').status_text",
        "418 I'm a teapot",
    ),
    (
        "k6-http/response",
        "http.get('http://a.test/').error_code",
        "1418",
    ),
    (
        "k6-http/response",
        "http.get('http://a.test/').headers['X-Request-Id']",
        "7",
    ),
    (
        "k6-http/response",
        "http.get('http://a.test/').headers['x-request-id']",
        "undefined",
    ),
    (
        "k6-http/response",
        "http.get('http://a.test/').timings.duration",
        "15",
    ),
    (
        "k6-http/response",
        "http.get('http://a.test/').cookies.no",
        "undefined",
    ),
    (
        "k6-http/response",
        "http.get('http://a.test/') instanceof http.Response",
        "true",
    ),
    (
        "k6-http/response/response-json",
        "http.get('http://a.test/').json().list[1].n",
        "2",
    ),
    (
        "k6-http/response/response-json",
        "http.get('http://a.test/').json('list.0.n')",
        "1",
    ),
    (
        "k6-http/response/response-json",
        "http.get('http://a.test/').json('list.#')",
        "2",
    ),
    (
        "k6-http/response/response-json",
        "http.get('http://a.test/').json('list.#.n').join()",
        "1,2",
    ),
    (
        "k6-http/response/response-json",
        "http.get('http://a.test/', { responseType: 'binary' }).json('list.1.n')",
        "2",
    ),
    (
        "k6-http/params",
        "http.get('http://a.test/', { responseType: 'none' }).body",
        "null",
    ),
    (
        "k6-http/params",
        "http.get('http://a.test/', {}).status",
        "418",
    ),
    (
        "k6-http/params",
        "http.get('http://a.test/', null).status",
        "418",
    ),
    ("k6-http/batch", "http.batch([]).length", "0"),
    ("k6-http/batch", "Object.keys(http.batch({})).length", "0"),
    (
        "k6-http/batch",
        "http.batch(['http://a.test/1', 'http://a.test/2']).map(r => r.url).join()",
        "http://a.test/1,http://a.test/2",
    ),
    (
        "k6-http/batch",
        "http.batch([['GET', 'http://a.test/', null, { tags: { a: 'b' } }]])[0].status",
        "418",
    ),
    (
        "k6-http/batch",
        "http.batch([http.url`http://a.test/${1}`])[0].url",
        "http://a.test/1",
    ),
    (
        "k6-http/file",
        "http.file('x', 'n.txt').content_type",
        "application/octet-stream",
    ),
    (
        "k6-http/file",
        "http.file('x', 'n.txt', 'text/plain').filename",
        "n.txt",
    ),
    (
        "k6-http/cookiejar",
        "http.cookieJar() === http.cookieJar()",
        "true",
    ),
    (
        "k6-http/cookiejar",
        "JSON.stringify(http.cookieJar().cookiesForURL('http://a.test/'))",
        "{}",
    ),
    (
        "k6-http/cookiejar",
        "(j => (j.set('http://a.test/', 'a', 1), j.cookiesForURL('http://a.test/').a[0]))\
         (http.cookieJar())",
        "1",
    ),
    (
        "k6-http/cookiejar",
        "(j => (j.set('http://a.test/', 'a', 1, { secure: true }), \
         j.cookiesForURL('http://a.test/').a))(http.cookieJar())",
        "undefined",
    ),
    (
        "k6-http/cookiejar",
        "(j => (j.set('http://a.test/', 'a', 1, { max_age: -1 }), \
         j.cookiesForURL('http://a.test/').a))(http.cookieJar())",
        "undefined",
    ),
    (
        "k6-http/expected-statuses",
        "typeof http.expectedStatuses(200)",
        "object",
    ),
    ("k6-http", "http.TLS_1_2", "tls1.2"),
    ("k6-http", "http.OCSP_STATUS_GOOD", "good"),
    (
        "k6-execution",
        "exec.vu.idInTest + exec.vu.idInInstance",
        "2",
    ),
    ("k6-execution", "exec.vu.iterationInScenario", "0"),
    ("k6-execution", "exec.scenario.progress", "0"),
    ("k6-execution", "exec.instance.vusActive", "0"),
    (
        "k6-execution",
        "exec.instance.currentTestRunDuration",
        "100000",
    ),
    (
        "k6-execution",
        "JSON.stringify(exec.test.options)",
        "{\"vus\":1}",
    ),
    (
        "k6-execution",
        "(exec.vu.metrics.tags.a = true, exec.vu.metrics.tags.a)",
        "true",
    ),
    (
        "k6-execution",
        "(exec.vu.tags.a = 1, delete exec.vu.tags.a, exec.vu.tags.a)",
        "undefined",
    ),
    ("k6-timers", "typeof setTimeout(() => {}, 1)", "number"),
    ("k6-timers", "clearTimeout(12345)", "undefined"),
    ("k6-timers", "clearTimeout(undefined)", "undefined"),
    (
        "k6-encoding",
        "encoding.b64encode('a?b>', 'rawurl')",
        "YT9iPg",
    ),
    (
        "k6-crypto",
        "crypto.hmac('sha256', 'k', 'd', 'hex').length",
        "64",
    ),
    (
        "k6-crypto",
        "crypto.sha1('a', 'hex')",
        "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8",
    ),
    ("init-context", "typeof open", "function"),
    ("init-context", "typeof require", "function"),
    ("init-context", "[__VU, __ITER].join()", "1,0"),
    (
        "using-k6/environment-variables",
        "typeof __ENV.PATH",
        "undefined",
    ),
];

#[test]
fn each_case_prints_what_it_should() {
    let mut wrong = Vec::new();
    for (section, script, printed) in CASES {
        let mut world = World::new(&format!(
            "import k6, {{ check, group, sleep, randomSeed }} from 'k6'; import http from 'k6/http';
             import exec from 'k6/execution'; import encoding from 'k6/encoding';
             import crypto from 'k6/crypto'; export const options = {{ vus: 1 }};
             export default () => {{ console.log({script}); }}"
        ))
        .answering(|_| {
            let mut answer = answer(
                418,
                &[("x-request-id", "7"), ("Content-Type", "application/json")],
                "{\"list\":[{\"n\":1},{\"n\":2}]}",
            );
            answer.status_text = "I'm a teapot".into();
            Ok(answer)
        });
        let end = world.iterate();
        if world.printed != [*printed] {
            wrong.push(format!(
                "{section}: {script}: {:?}, not {printed}; {end:?}",
                world.printed
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What must throw, and a word of what it says.
const REFUSED: &[(&str, &str, &str)] = &[
    ("k6/check", "check(1)", "check()"),
    ("k6/check", "check(1, 'x')", "check()"),
    ("k6/group", "group('g')", "function"),
    ("k6/group", "group('a::b', () => {})", "::"),
    ("k6/group", "group('g', async () => {})", "async"),
    ("k6/fail", "fail('because')", "because"),
    ("k6/fail", "fail()", "fail"),
    ("k6-http/batch", "http.batch('x')", "batch()"),
    ("k6-http/batch", "http.batch(null)", "batch()"),
    (
        "k6-http/expected-statuses",
        "http.expectedStatuses()",
        "expectedStatuses",
    ),
    (
        "k6-http/expected-statuses",
        "http.expectedStatuses('200')",
        "expectedStatuses",
    ),
    (
        "k6-http/set-response-callback",
        "http.setResponseCallback(() => true)",
        "expectedStatuses",
    ),
    (
        "k6-http/cookiejar",
        "http.cookieJar().set('nonsense', 'a', 'b')",
        "nonsense",
    ),
    (
        "k6-http/response/response-json",
        "http.get('http://a.test/').json()",
        "JSON",
    ),
    (
        "k6-http/params",
        "http.get('http://a.test/', { auth: 'what' })",
        "what",
    ),
    (
        "k6-data/sharedarray",
        "new SharedArray('late', () => [])",
        "SharedArray",
    ),
    ("k6-data/sharedarray", "SharedArray('x', () => [])", "new"),
    ("k6-timers", "setTimeout('code', 1)", "function"),
    ("k6-metrics", "new Trend('late')", "init code"),
    ("init-context/open", "open('x')", "init code"),
    ("k6-execution", "exec.vu.metrics.tags.a = {}", "tag"),
];

#[test]
fn each_refusal_says_why() {
    let mut wrong = Vec::new();
    for (section, script, word) in REFUSED {
        let mut world = World::new(&format!(
            "import {{ check, group, fail }} from 'k6'; import http from 'k6/http';
             import exec from 'k6/execution'; import {{ SharedArray }} from 'k6/data';
             import {{ Trend }} from 'k6/metrics';
             export default () => {{ {script}; console.log('went on'); }}"
        ));
        let thrown = world.throws();
        if !thrown.message.contains(word) || thrown.place.is_none() {
            wrong.push(format!("{section}: {script}: {thrown:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
