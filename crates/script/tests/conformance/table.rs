//! Many small cases: the section of k6's documents, what the default function does, and what it
//! prints or why it throws. Each is a test of its own, which has the section in its name.

use crate::driver::{World, answer};

/// What must come of a case.
enum Expects {
    /// The value is printed so.
    Prints(&'static str),
    /// It throws, and says this among other things, with the place.
    Throws(&'static str),
}

use Expects::{Prints, Throws};

struct Case {
    section: &'static str,
    script: &'static str,
    expects: Expects,
}

impl Case {
    fn run(&self) {
        let script = self.script;
        let mut world = World::new(&format!(
            "import k6, {{ check, group, sleep, fail, randomSeed }} from 'k6';
             import http from 'k6/http'; import exec from 'k6/execution';
             import encoding from 'k6/encoding'; import crypto from 'k6/crypto';
             import {{ SharedArray }} from 'k6/data'; import html from 'k6/html';
             import {{ Trend, Rate, Counter, Gauge }} from 'k6/metrics';
             export const options = {{ vus: 1 }};
             const list = new SharedArray('list', () => [{{ n: 1 }}, {{ n: 2 }}]);
             const trend = new Trend('t', true); const rate = new Rate('r');
             const counter = new Counter('c'); const gauge = new Gauge('g');
             export default async () => {{ console.log({script}); }}"
        ))
        .answering(|request| Ok(respond(&request.url)));
        let end = world.iterate();
        let about = format!("{}: {script}: {:?}; {end:?}", self.section, world.printed);
        match self.expects {
            Prints(printed) => assert_eq!(world.printed, [printed], "{about}"),
            Throws(word) => {
                let breakpoint_script::exchange::End::Threw(thrown) = end else {
                    panic!("{about}")
                };
                assert!(thrown.message.contains(word), "{about}");
                assert!(thrown.place.is_some(), "{about}");
            }
        }
    }
}

/// What the target answers: by the path.
fn respond(url: &str) -> breakpoint_script::exchange::Answer {
    let path = url.rsplit_once('/').map_or("", |(_, path)| path);
    if let Some(status) = path.strip_prefix("to-").and_then(|text| text.parse().ok()) {
        return answer(status, &[("Location", "/end")], "");
    }
    if let Some(status) = path
        .strip_prefix("status-")
        .and_then(|text| text.parse().ok())
    {
        return answer(status, &[], "");
    }
    match path {
        "end" => answer(200, &[("Content-Type", "text/plain")], "end"),
        "round" => answer(302, &[("Location", "/round")], ""),
        "cookie" => answer(
            200,
            &[("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2")],
            "",
        ),
        "page" => answer(
            200,
            &[("Content-Type", "text/html")],
            "<title>t</title><form method=post action=/end><input name=q value=v></form>\
             <a href='/end?a=1'>x</a><p class=p>one</p><p>two</p>",
        ),
        _ => {
            let mut answer = answer(
                418,
                &[("x-request-id", "7"), ("Content-Type", "application/json")],
                "{\"list\":[{\"n\":1},{\"n\":2}]}",
            );
            answer.status_text = "I'm a teapot".into();
            answer
        }
    }
}

macro_rules! cases {
    ($($name:ident, $section:literal, $kind:ident, $script:literal, $expects:literal;)*) => {
        $(#[test]
        fn $name() {
            let expects = $kind($expects);
            Case { section: $section, script: $script, expects }.run();
        })*
    };
}

cases! {
    k6_check_1, "k6/check", Prints, "check(1, {}) ", "true";
    k6_check_2, "k6/check", Prints, "check(1, { a: 1, b: 'x', c: {} })", "true";
    k6_check_3, "k6/check", Prints, "check(1, { a: 0 })", "false";
    k6_check_4, "k6/check", Prints, "check(1, { a: null })", "false";
    k6_check_5, "k6/check", Prints, "check({ n: 1 }, { a: v => v.n })", "true";
    k6_check_6, "k6/check", Prints, "check(1, { a: () => undefined })", "false";
    k6_group_1, "k6/group", Prints, "group('g', () => 5)", "5";
    k6_group_2, "k6/group", Prints, "group('g', () => {})", "undefined";
    k6_group_3, "k6/group", Prints, "group('a', () => group('b', () => 'in'))", "in";
    k6_sleep_1, "k6/sleep", Prints, "sleep(0)", "undefined";
    k6_1, "k6", Prints, "Object.keys(k6).sort().join()", "check,fail,group,randomSeed,sleep";
    k6_random_seed_1, "k6/random-seed", Prints, "(randomSeed(1), Math.random() < 1)", "true";
    k6_http_url_1, "k6-http/url", Prints, "http.url`http://a.test/${1}`.name", "http://a.test/${}";
    k6_http_url_2, "k6-http/url", Prints, "http.get(http.url`http://a.test/${'x'}`).url", "http://a.test/x";
    k6_http_get_1, "k6-http/get", Prints, "http.get('http://a.test').url", "http://a.test/";
    k6_http_get_2, "k6-http/get", Prints, "http.get('http://a.test/a b?c=d e').url", "http://a.test/a%20b?c=d%20e";
    k6_http_get_3, "k6-http/get", Prints, "http.get('HTTP://A.test/').url", "http://a.test/";
    k6_http_get_4, "k6-http/get", Prints, "http.get(new URL('http://a.test/u')).url", "http://a.test/u";
    k6_http_request_1, "k6-http/request", Prints, "http.request('get', 'http://a.test/').request.method", "GET";
    k6_http_head_1, "k6-http/head", Prints, "http.head('http://a.test/').request.method", "HEAD";
    k6_http_options_1, "k6-http/options", Prints, "http.options('http://a.test/').request.method", "OPTIONS";
    k6_http_del_1, "k6-http/del", Prints, "http.del('http://a.test/', 'b').request.body", "b";
    k6_http_put_1, "k6-http/put", Prints, "http.put('http://a.test/', { a: 'b c' }).request.body", "a=b+c";
    k6_http_patch_1, "k6-http/patch", Prints, "http.patch('http://a.test/', '').request.body", "";
    k6_http_post_1, "k6-http/post", Prints, "http.post('http://a.test/', { b: 1, a: [true, 'x'] }).request.body", "a=true&a=x&b=1";
    k6_http_response_1, "k6-http/response", Prints, "http.get('http://a.test/').status_text", "418 I'm a teapot";
    k6_http_response_2, "k6-http/response", Prints, "http.get('http://a.test/').error_code", "1418";
    k6_http_response_3, "k6-http/response", Prints, "http.get('http://a.test/').headers['X-Request-Id']", "7";
    k6_http_response_4, "k6-http/response", Prints, "http.get('http://a.test/').headers['x-request-id']", "undefined";
    k6_http_response_5, "k6-http/response", Prints, "http.get('http://a.test/').timings.duration", "15";
    k6_http_response_6, "k6-http/response", Prints, "http.get('http://a.test/').cookies.no", "undefined";
    k6_http_response_7, "k6-http/response", Prints, "http.get('http://a.test/') instanceof http.Response", "true";
    k6_http_response_response_json_1, "k6-http/response/response-json", Prints, "http.get('http://a.test/').json().list[1].n", "2";
    k6_http_response_response_json_2, "k6-http/response/response-json", Prints, "http.get('http://a.test/').json('list.0.n')", "1";
    k6_http_response_response_json_3, "k6-http/response/response-json", Prints, "http.get('http://a.test/').json('list.#')", "2";
    k6_http_response_response_json_4, "k6-http/response/response-json", Prints, "http.get('http://a.test/').json('list.#.n').join()", "1,2";
    k6_http_response_response_json_5, "k6-http/response/response-json", Prints, "http.get('http://a.test/', { responseType: 'binary' }).json('list.1.n')", "2";
    k6_http_params_1, "k6-http/params", Prints, "http.get('http://a.test/', { responseType: 'none' }).body", "null";
    k6_http_params_2, "k6-http/params", Prints, "http.get('http://a.test/', {}).status", "418";
    k6_http_params_3, "k6-http/params", Prints, "http.get('http://a.test/', null).status", "418";
    k6_http_batch_1, "k6-http/batch", Prints, "http.batch([]).length", "0";
    k6_http_batch_2, "k6-http/batch", Prints, "Object.keys(http.batch({})).length", "0";
    k6_http_batch_3, "k6-http/batch", Prints, "http.batch(['http://a.test/1', 'http://a.test/2']).map(r => r.url).join()", "http://a.test/1,http://a.test/2";
    k6_http_batch_4, "k6-http/batch", Prints, "http.batch([['GET', 'http://a.test/', null, { tags: { a: 'b' } }]])[0].status", "418";
    k6_http_batch_5, "k6-http/batch", Prints, "http.batch([http.url`http://a.test/${1}`])[0].url", "http://a.test/1";
    k6_http_file_1, "k6-http/file", Prints, "http.file('x', 'n.txt').content_type", "application/octet-stream";
    k6_http_file_2, "k6-http/file", Prints, "http.file('x', 'n.txt', 'text/plain').filename", "n.txt";
    k6_http_cookiejar_1, "k6-http/cookiejar", Prints, "http.cookieJar() === http.cookieJar()", "true";
    k6_http_cookiejar_2, "k6-http/cookiejar", Prints, "JSON.stringify(http.cookieJar().cookiesForURL('http://a.test/'))", "{}";
    k6_http_cookiejar_3, "k6-http/cookiejar", Prints, "(j => (j.set('http://a.test/', 'a', 1), j.cookiesForURL('http://a.test/').a[0]))\
         (http.cookieJar())", "1";
    k6_http_cookiejar_4, "k6-http/cookiejar", Prints, "(j => (j.set('http://a.test/', 'a', 1, { secure: true }), \
         j.cookiesForURL('http://a.test/').a))(http.cookieJar())", "undefined";
    k6_http_cookiejar_5, "k6-http/cookiejar", Prints, "(j => (j.set('http://a.test/', 'a', 1, { max_age: -1 }), \
         j.cookiesForURL('http://a.test/').a))(http.cookieJar())", "undefined";
    k6_http_expected_statuses_1, "k6-http/expected-statuses", Prints, "typeof http.expectedStatuses(200)", "object";
    k6_http_1, "k6-http", Prints, "http.TLS_1_2", "tls1.2";
    k6_http_2, "k6-http", Prints, "http.OCSP_STATUS_GOOD", "good";
    k6_execution_1, "k6-execution", Prints, "exec.vu.idInTest + exec.vu.idInInstance", "2";
    k6_execution_2, "k6-execution", Prints, "exec.vu.iterationInScenario", "0";
    k6_execution_3, "k6-execution", Prints, "exec.scenario.progress", "0";
    k6_execution_4, "k6-execution", Prints, "exec.instance.vusActive", "0";
    k6_execution_5, "k6-execution", Prints, "exec.instance.currentTestRunDuration", "100000";
    k6_execution_6, "k6-execution", Prints, "JSON.stringify(exec.test.options)", "{\"vus\":1}";
    k6_execution_7, "k6-execution", Prints, "(exec.vu.metrics.tags.a = true, exec.vu.metrics.tags.a)", "true";
    k6_execution_8, "k6-execution", Prints, "(exec.vu.tags.a = 1, delete exec.vu.tags.a, exec.vu.tags.a)", "undefined";
    k6_timers_1, "k6-timers", Prints, "typeof setTimeout(() => {}, 1)", "number";
    k6_timers_2, "k6-timers", Prints, "clearTimeout(12345)", "undefined";
    k6_timers_3, "k6-timers", Prints, "clearTimeout(undefined)", "undefined";
    k6_encoding_1, "k6-encoding", Prints, "encoding.b64encode('a?b>', 'rawurl')", "YT9iPg";
    k6_crypto_1, "k6-crypto", Prints, "crypto.hmac('sha256', 'k', 'd', 'hex').length", "64";
    k6_crypto_2, "k6-crypto", Prints, "crypto.sha1('a', 'hex')", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8";
    init_context_1, "init-context", Prints, "typeof open", "function";
    init_context_2, "init-context", Prints, "typeof require", "function";
    init_context_3, "init-context", Prints, "[__VU, __ITER].join()", "1,0";
    using_k6_environment_variables_1, "using-k6/environment-variables", Prints, "typeof __ENV.PATH", "undefined";
    k6_http_params_redirects_1, "k6-http/params/redirects", Prints, "http.get('http://a.test/to-301').url", "http://a.test/end";
    k6_http_params_redirects_2, "k6-http/params/redirects", Prints, "http.post('http://a.test/to-301', 'b').request.method", "GET";
    k6_http_params_redirects_3, "k6-http/params/redirects", Prints, "http.post('http://a.test/to-302', 'b').request.method", "GET";
    k6_http_params_redirects_4, "k6-http/params/redirects", Prints, "http.post('http://a.test/to-303', 'b').request.method", "GET";
    k6_http_params_redirects_5, "k6-http/params/redirects", Prints, "http.post('http://a.test/to-307', 'b').request.method", "POST";
    k6_http_params_redirects_6, "k6-http/params/redirects", Prints, "http.post('http://a.test/to-308', 'b').request.method", "POST";
    k6_http_params_redirects_7, "k6-http/params/redirects", Prints, "http.head('http://a.test/to-303').request.method", "HEAD";
    k6_http_params_redirects_8, "k6-http/params/redirects", Prints, "http.get('http://a.test/to-302', { redirects: 0 }).status", "302";
    k6_http_params_redirects_9, "k6-http/params/redirects", Prints, "http.get('http://a.test/to-302', { redirects: 0 }).headers.Location", "/end";
    k6_http_params_redirects_10, "k6-http/params/redirects", Prints, "http.get('http://a.test/round').status", "302";
    k6_http_params_redirects_11, "k6-http/params/redirects", Prints, "http.get('http://a.test/round', { redirects: 3 }).error_code", "0";
    k6_http_params_redirects_12, "k6-http/params/redirects", Prints, "http.get('http://a.test/to-304').url", "http://a.test/to-304";
    k6_http_params_redirects_13, "k6-http/params/redirects", Prints, "http.get('http://a.test/to-302').body", "end";
    error_codes_1, "error-codes", Prints, "http.get('http://a.test/status-400').error_code", "1400";
    error_codes_2, "error-codes", Prints, "http.get('http://a.test/status-404').error_code", "1404";
    error_codes_3, "error-codes", Prints, "http.get('http://a.test/status-429').error_code", "1429";
    error_codes_4, "error-codes", Prints, "http.get('http://a.test/status-500').error_code", "1500";
    error_codes_5, "error-codes", Prints, "http.get('http://a.test/status-503').error_code", "1503";
    error_codes_6, "error-codes", Prints, "http.get('http://a.test/status-200').error_code", "0";
    error_codes_7, "error-codes", Prints, "http.get('http://a.test/status-399').error_code", "0";
    error_codes_8, "error-codes", Prints, "http.get('nonsense').error_code", "1020";
    error_codes_9, "error-codes", Prints, "http.get('nonsense').status", "0";
    error_codes_10, "error-codes", Prints, "http.get('nonsense').body", "null";
    error_codes_11, "error-codes", Prints, "http.get('ftp://a.test/').error_code", "1020";
    error_codes_12, "error-codes", Prints, "http.get('http://').error_code", "1020";
    k6_http_cookiejar_6, "k6-http/cookiejar", Prints, "(http.get('http://a.test/cookie'), http.cookieJar().cookiesForURL('http://a.test/').a[0])", "1";
    k6_http_response_8, "k6-http/response", Prints, "http.get('http://a.test/cookie').cookies.a[0].value", "1";
    k6_http_response_9, "k6-http/response", Prints, "http.get('http://a.test/cookie').cookies.b[0].name", "b";
    k6_http_response_10, "k6-http/response", Prints, "http.get('http://a.test/cookie').cookies.a[0].path", "/";
    k6_http_request_2, "k6-http/request", Prints, "JSON.stringify(http.get('http://a.test/').request.cookies)", "{}";
    k6_http_request_3, "k6-http/request", Prints, "(http.get('http://a.test/cookie'), http.get('http://a.test/').request.cookies.a[0].value)", "1";
    k6_http_request_4, "k6-http/request", Prints, "http.get('http://a.test/', { cookies: { x: 'y' } }).request.cookies.x[0].value", "y";
    k6_http_request_5, "k6-http/request", Prints, "http.get('http://a.test/', { cookies: { x: { value: 'y', replace: true } } }).request.cookies.x[0].replace", "true";
    k6_http_request_6, "k6-http/request", Prints, "http.get('http://a.test/', { cookies: { x: 'y' } }).request.cookies.x[0].replace", "false";
    k6_http_cookiejar_7, "k6-http/cookiejar", Prints, "(j => (j.set('http://a.test/', 'a', '1'), j.clear('http://a.test/'), Object.keys(j.cookiesForURL('http://a.test/')).length))(http.cookieJar())", "0";
    k6_http_cookiejar_8, "k6-http/cookiejar", Prints, "(j => (j.set('http://a.test/', 'a', '1'), j.set('http://a.test/', 'b', '1'), j.delete('http://a.test/', 'a'), Object.keys(j.cookiesForURL('http://a.test/')).join()))(http.cookieJar())", "b";
    k6_http_cookiejar_9, "k6-http/cookiejar", Prints, "(j => (j.set('http://a.test/', 'a', '1', { path: '/deep' }), j.cookiesForURL('http://a.test/').a))(http.cookieJar())", "undefined";
    k6_http_cookiejar_10, "k6-http/cookiejar", Prints, "(j => (j.set('http://a.test/', 'a', '1', { path: '/deep' }), j.cookiesForURL('http://a.test/deep/x').a[0]))(http.cookieJar())", "1";
    k6_http_cookiejar_11, "k6-http/cookiejar", Prints, "(j => (j.set('http://a.test/', 'a', '1'), j.cookiesForURL('http://b.test/').a))(http.cookieJar())", "undefined";
    k6_http_cookiejar_12, "k6-http/cookiejar", Prints, "(j => http.get('http://a.test/', { jar: (j.set('http://a.test/', 'own', '1'), j) }).request.cookies.own[0].value)(new http.CookieJar())", "1";
    k6_http_request_7, "k6-http/request", Prints, "http.get('http://a.test/', { headers: { 'x-own': 'v' } }).request.headers['X-Own'][0]", "v";
    k6_http_request_8, "k6-http/request", Prints, "http.post('http://a.test/', { a: 1 }).request.headers['Content-Type'][0]", "application/x-www-form-urlencoded";
    k6_http_request_9, "k6-http/request", Prints, "http.post('http://a.test/', { a: 1 }, { headers: { 'content-type': 'text/x' } }).request.headers['Content-Type'].join()", "text/x";
    k6_http_post_2, "k6-http/post", Prints, "http.post('http://a.test/', { 'a b': 'ä&=' }).request.body", "a+b=%C3%A4%26%3D";
    k6_http_post_3, "k6-http/post", Prints, "http.post('http://a.test/', { a: [] }).request.body", "";
    k6_http_post_4, "k6-http/post", Prints, "http.post('http://a.test/', { a: ['x', 'y'], b: null }).request.body", "a=x&a=y&b=null";
    k6_http_post_5, "k6-http/post", Prints, "http.post('http://a.test/', JSON.stringify({ a: 1 })).request.body", "{\"a\":1}";
    k6_http_post_6, "k6-http/post", Prints, "http.post('http://a.test/', 5).request.method", "POST";
    k6_http_post_7, "k6-http/post", Prints, "http.post('http://a.test/').request.body", "";
    k6_http_async_request_1, "k6-http/async-request", Prints, "(await http.asyncRequest('GET', 'http://a.test/')).status", "418";
    k6_http_async_request_2, "k6-http/async-request", Prints, "http.asyncRequest('GET', 'http://a.test/') instanceof Promise", "true";
    k6_http_async_request_3, "k6-http/async-request", Prints, "(await Promise.all([1, 2].map((n) => http.asyncRequest('GET', `http://a.test/${n}`)))).length", "2";
    k6_http_async_request_4, "k6-http/async-request", Prints, "(await http.asyncRequest('GET', 'nonsense')).error_code", "1020";
    k6_http_params_4, "k6-http/params", Prints, "http.get('http://a.test/', { responseType: 'binary' }).body instanceof ArrayBuffer", "true";
    k6_http_params_5, "k6-http/params", Prints, "http.get('http://a.test/end', { responseType: 'binary' }).body.byteLength", "3";
    k6_http_params_6, "k6-http/params", Prints, "http.get('http://a.test/end', { responseType: 'text' }).body", "end";
    k6_http_params_7, "k6-http/params", Prints, "http.get('http://a.test/end', { timeout: '1m30s' }).status", "200";
    k6_http_params_8, "k6-http/params", Prints, "http.get('http://a.test/end', { timeout: 1 }).status", "200";
    k6_http_batch_6, "k6-http/batch", Prints, "http.batch({ a: 'http://a.test/end', b: 'http://a.test/' }).a.body", "end";
    k6_http_batch_7, "k6-http/batch", Prints, "http.batch([{ method: 'PUT', url: 'http://a.test/', body: 'b' }])[0].request.method", "PUT";
    k6_http_batch_8, "k6-http/batch", Prints, "http.batch([['POST', 'http://a.test/', { a: 1 }]])[0].request.body", "a=1";
    k6_http_batch_9, "k6-http/batch", Prints, "http.batch(['nonsense', 'http://a.test/end']).map((r) => r.error_code).join()", "1020,0";
    k6_http_response_response_html_1, "k6-http/response/response-html", Prints, "http.get('http://a.test/page').html('p').size()", "2";
    k6_http_response_response_html_2, "k6-http/response/response-html", Prints, "http.get('http://a.test/page').html().find('title').text()", "t";
    k6_http_response_response_html_3, "k6-http/response/response-html", Prints, "http.get('http://a.test/page').html('p').first().is('.p')", "true";
    k6_http_response_response_html_4, "k6-http/response/response-html", Prints, "http.get('http://a.test/page').html('p').last().text()", "two";
    k6_http_response_response_submitform_1, "k6-http/response/response-submitform", Prints, "http.get('http://a.test/page').submitForm().request.body", "q=v";
    k6_http_response_response_submitform_2, "k6-http/response/response-submitform", Prints, "http.get('http://a.test/page').submitForm({ fields: { q: 'w' } }).request.body", "q=w";
    k6_http_response_response_submitform_3, "k6-http/response/response-submitform", Prints, "http.get('http://a.test/page').submitForm({ formSelector: 'form' }).url", "http://a.test/end";
    k6_http_response_response_clicklink_1, "k6-http/response/response-clicklink", Prints, "http.get('http://a.test/page').clickLink().url", "http://a.test/end?a=1";
    k6_http_response_response_clicklink_2, "k6-http/response/response-clicklink", Prints, "http.get('http://a.test/page').clickLink({ selector: 'a' }).request.method", "GET";
    k6_http_response_response_json_6, "k6-http/response/response-json", Prints, "http.get('http://a.test/').json('list.#(n==2).n')", "2";
    k6_http_response_response_json_7, "k6-http/response/response-json", Prints, "http.get('http://a.test/').json('no.such')", "undefined";
    k6_http_response_response_json_8, "k6-http/response/response-json", Prints, "(r => r.json() === r.json())(http.get('http://a.test/'))", "true";
    k6_http_response_11, "k6-http/response", Prints, "http.get('http://a.test/').remote_port", "8080";
    k6_http_response_12, "k6-http/response", Prints, "http.get('http://a.test/').proto", "HTTP/1.1";
    k6_http_response_13, "k6-http/response", Prints, "Object.keys(http.get('http://a.test/').timings).sort().join()", "blocked,connecting,duration,looking_up,receiving,sending,tls_handshaking,waiting";
    k6_data_sharedarray_1, "k6-data/sharedarray", Prints, "list.length", "2";
    k6_data_sharedarray_2, "k6-data/sharedarray", Prints, "list[1].n", "2";
    k6_data_sharedarray_3, "k6-data/sharedarray", Prints, "list[2]", "undefined";
    k6_data_sharedarray_4, "k6-data/sharedarray", Prints, "list.map((one) => one.n).join()", "1,2";
    k6_data_sharedarray_5, "k6-data/sharedarray", Prints, "[...list].length", "2";
    k6_data_sharedarray_6, "k6-data/sharedarray", Prints, "Object.isFrozen(list[0])", "true";
    k6_data_sharedarray_7, "k6-data/sharedarray", Prints, "Array.isArray(list)", "true";
    k6_crypto_md5_1, "k6-crypto/md5", Prints, "crypto.md5('a', 'hex')", "0cc175b9c0f1b6a831c399e269772661";
    k6_crypto_sha256_1, "k6-crypto/sha256", Prints, "crypto.sha256('abc', 'hex')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    k6_crypto_md5_2, "k6-crypto/md5", Prints, "crypto.md5('a', 'base64')", "DMF1ucDxtqgxw5niaXcmYQ==";
    k6_crypto_randombytes_1, "k6-crypto/randombytes", Prints, "crypto.randomBytes(8).byteLength", "8";
    k6_crypto_createhash_1, "k6-crypto/createhash", Prints, "(h => (h.update('a'), h.update('bc'), h.digest('hex')))(crypto.createHash('sha1'))", "a9993e364706816aba3e25717850c26c9cd0d89d";
    k6_encoding_b64encode_1, "k6-encoding/b64encode", Prints, "encoding.b64encode('hello')", "aGVsbG8=";
    k6_encoding_b64decode_1, "k6-encoding/b64decode", Prints, "encoding.b64decode('aGVsbG8=', 'std', 's')", "hello";
    k6_encoding_b64decode_2, "k6-encoding/b64decode", Prints, "encoding.b64decode('aGVsbG8=').byteLength", "5";
    k6_metrics_trend_1, "k6-metrics/trend", Prints, "trend.name", "t";
    k6_timers_settimeout_1, "k6-timers/settimeout", Prints, "await new Promise((done) => setTimeout(() => done('late'), 5))", "late";
    k6_timers_settimeout_2, "k6-timers/settimeout", Prints, "await new Promise((done) => setTimeout(done, 5, 'given'))", "given";
    k6_timers_setinterval_1, "k6-timers/setinterval", Prints, "await new Promise((done) => { let n = 0; const id = setInterval(() => { n += 1; if (n === 3) { clearInterval(id); done(n); } }, 1); })", "3";
    k6_timers_cleartimeout_1, "k6-timers/cleartimeout", Prints, "await new Promise((done) => { clearTimeout(setTimeout(() => done('no'), 1)); setTimeout(() => done('yes'), 5); })", "yes";
    k6_html_parsehtml_1, "k6-html/parsehtml", Prints, "html.parseHTML('<ul><li>a<li>b</ul>').find('li').size()", "2";
    k6_execution_test_1, "k6-execution/test", Prints, "typeof exec.test.abort", "function";
    k6_execution_scenario_1, "k6-execution/scenario", Prints, "exec.scenario.iterationInTest", "0";
    k6_console_1, "k6-console", Prints, "[typeof console.log, typeof console.debug].join()", "function,function";
    javascript_api_console_1, "javascript-api/console", Prints, "{ b: 1, a: 'x' }", "{ a: \"x\", b: 1 }";
    javascript_api_console_2, "javascript-api/console", Prints, "[1, [], {}]", "[ 1, [], {} ]";
    javascript_api_console_3, "javascript-api/console", Prints, "() => 1", "[object Function]";
    javascript_api_console_4, "javascript-api/console", Prints, "{ f() {} }", "{ f: [object Function] }";
    javascript_api_console_5, "javascript-api/console", Prints, "new Int32Array([4, 2])", "Int32Array(2) [ 4, 2 ]";
    javascript_api_console_6, "javascript-api/console", Prints, "new Uint8Array([4, 255]).buffer", "ArrayBuffer { [Uint8Contents]: <04 ff>, byteLength: 2 }";
    javascript_api_console_7, "javascript-api/console", Prints, "{ e: new TypeError('t') }", "{ e: TypeError: t }";
    k6_check_7, "k6/check", Throws, "check(1)", "check()";
    k6_check_8, "k6/check", Throws, "check(1, 'x')", "check()";
    k6_group_4, "k6/group", Throws, "group('g')", "function";
    k6_group_5, "k6/group", Throws, "group('a::b', () => {})", "::";
    k6_group_6, "k6/group", Throws, "group('g', async () => {})", "async";
    k6_fail_1, "k6/fail", Throws, "fail('because')", "because";
    k6_fail_2, "k6/fail", Throws, "fail()", "fail";
    k6_http_batch_10, "k6-http/batch", Throws, "http.batch('x')", "batch()";
    k6_http_batch_11, "k6-http/batch", Throws, "http.batch(null)", "batch()";
    k6_http_expected_statuses_2, "k6-http/expected-statuses", Throws, "http.expectedStatuses()", "expectedStatuses";
    k6_http_expected_statuses_3, "k6-http/expected-statuses", Throws, "http.expectedStatuses('200')", "expectedStatuses";
    k6_http_set_response_callback_1, "k6-http/set-response-callback", Throws, "http.setResponseCallback(() => true)", "expectedStatuses";
    k6_http_cookiejar_13, "k6-http/cookiejar", Throws, "http.cookieJar().set('nonsense', 'a', 'b')", "nonsense";
    k6_http_response_response_json_9, "k6-http/response/response-json", Throws, "http.get('http://a.test/end').json()", "JSON";
    k6_http_params_9, "k6-http/params", Throws, "http.get('http://a.test/', { auth: 'what' })", "what";
    k6_data_sharedarray_8, "k6-data/sharedarray", Throws, "new SharedArray('late', () => [])", "SharedArray";
    k6_data_sharedarray_9, "k6-data/sharedarray", Throws, "SharedArray('x', () => [])", "new";
    k6_timers_4, "k6-timers", Throws, "setTimeout('code', 1)", "function";
    k6_metrics_1, "k6-metrics", Throws, "new Trend('late')", "init code";
    init_context_open_1, "init-context/open", Throws, "open('x')", "init code";
    k6_execution_9, "k6-execution", Throws, "exec.vu.metrics.tags.a = {}", "tag";
    k6_data_sharedarray_10, "k6-data/sharedarray", Throws, "list[0] = 1", "read only";
    k6_data_sharedarray_11, "k6-data/sharedarray", Throws, "list.push(1)", "read only";
    k6_data_sharedarray_12, "k6-data/sharedarray", Throws, "Object.setPrototypeOf(list, null)", "read only";
    k6_http_params_10, "k6-http/params", Throws, "http.get('nonsense', { throw: true })", "invalid URL";
    k6_http_params_11, "k6-http/params", Throws, "http.get('http://a.test/', { timeout: 'soon' })", "soon";
    k6_http_params_12, "k6-http/params", Throws, "http.get('http://a.test/', { responseType: 'xml' })", "xml";
    k6_http_post_8, "k6-http/post", Throws, "http.post('http://a.test/', new Uint8Array(1))", "typed array";
    k6_http_post_9, "k6-http/post", Throws, "http.post('http://a.test/', 'x', { compression: 'lzma' })", "lzma";
    k6_http_response_response_json_10, "k6-http/response/response-json", Throws, "http.get('http://a.test/', { responseType: 'none' }).json()", "null";
    k6_http_response_response_submitform_4, "k6-http/response/response-submitform", Throws, "http.get('http://a.test/end').submitForm()", "no form";
    k6_http_response_response_clicklink_3, "k6-http/response/response-clicklink", Throws, "http.get('http://a.test/end').clickLink()", "no link";
    k6_metrics_2, "k6-metrics", Throws, "new Counter('late')", "init code";
    k6_metrics_3, "k6-metrics", Throws, "new Gauge('late')", "init code";
    k6_metrics_4, "k6-metrics", Throws, "new Rate('late')", "init code";
}
