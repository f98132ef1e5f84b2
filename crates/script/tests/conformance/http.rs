//! `k6/http`.

use std::time::Duration;

use breakpoint_script::exchange::{BodyUse, Expected, Failed, RequestName};

use crate::driver::{World, answer, ok};

fn world(body: &str) -> World {
    World::new(&format!(
        "import http from 'k6/http'; import {{ check }} from 'k6';
         export default function () {{ {body} }}"
    ))
}

// javascript-api/k6-http: the functions by method
#[test]
fn each_method_has_its_function() {
    let mut world = world(
        "const u = 'http://a.test/x';
         http.get(u); http.head(u); http.post(u, 'b'); http.put(u, 'b'); http.patch(u, 'b');
         http.del(u); http.options(u); http.request('propfind', u);",
    );
    world.run();
    let methods: Vec<_> = world.requests.iter().map(|r| r.method.as_str()).collect();
    assert_eq!(
        methods,
        [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"
        ]
    );
    assert_eq!(world.body(2), "b");
    assert_eq!(world.requests[0].body, None);
    assert_eq!(world.header(2, "Content-Type"), None);
    assert_eq!(world.requests[0].timeout, Duration::from_secs(60));
    assert_eq!(world.requests[0].url, "http://a.test/x");
}

// javascript-api/k6-http/response
#[test]
fn a_response_has_what_it_should() {
    let mut world = world(
        "const r = http.get('http://a.test/x');
         console.log(r.status, r.status_text, r.url, r.proto, r.remote_ip, r.remote_port, r.body);
         console.log(JSON.stringify(r.headers), r.error === '', r.error_code);
         console.log(JSON.stringify(r.timings));
         console.log(JSON.stringify(r.cookies));
         console.log(r.request.method, r.request.url);
         console.log(Object.keys(JSON.parse(JSON.stringify(r))).includes('timings'));",
    )
    .answering(|_| {
        Ok(answer(
            200,
            &[
                ("content-type", "text/plain"),
                ("x-two", "a"),
                ("X-TWO", "b"),
                ("set-cookie", "k=v; Path=/; HttpOnly; Max-Age=5"),
            ],
            "hi",
        ))
    });
    let printed = world.run();
    assert_eq!(
        printed[0],
        "200 200 OK http://a.test/x HTTP/1.1 127.0.0.1 8080 hi"
    );
    assert_eq!(
        printed[1],
        "{\"Content-Type\":\"text/plain\",\"X-Two\":\"a, b\",\
         \"Set-Cookie\":\"k=v; Path=/; HttpOnly; Max-Age=5\"} true 0"
    );
    assert_eq!(
        printed[2],
        "{\"blocked\":1,\"looking_up\":0,\"connecting\":2,\"tls_handshaking\":3,\"sending\":4,\
         \"waiting\":5,\"receiving\":6,\"duration\":15}"
    );
    assert_eq!(
        printed[3],
        "{\"k\":[{\"name\":\"k\",\"value\":\"v\",\"domain\":\"\",\"path\":\"/\",\"httpOnly\":true,\
         \"secure\":false,\"maxAge\":5,\"expires\":0}]}"
    );
    assert_eq!(printed[4], "GET http://a.test/x");
    assert_eq!(printed[5], "true");
}

// javascript-api/k6-http/response/response-json
#[test]
fn json_is_parsed_once() {
    let mut world = world(
        "const r = http.get('http://a.test/'); console.log(r.json().a, r.json() === r.json());",
    )
    .answering(|_| Ok(ok("{\"a\":1}")));
    assert_eq!(world.run(), ["1 true"]);
    let mut broken = self::world("http.get('http://a.test/').json();").answering(|_| Ok(ok("{")));
    assert!(broken.throws().message.contains("no JSON"));
}

// javascript-api/k6-http/post: "object … form-encoded"; issue 334: also with a JSON content type
#[test]
fn objects_are_sent_as_forms() {
    let mut world = world(
        "http.post('http://a.test/', { b: 'x y', a: [1, 2], c: 'ä&' });
         http.post('http://a.test/', { a: 1 }, { headers: { 'content-type': 'application/json' } });
         http.post('http://a.test/', JSON.stringify({ a: 1 }));
         http.get('http://a.test/', null);",
    );
    world.run();
    assert_eq!(world.body(0), "a=1&a=2&b=x+y&c=%C3%A4%26");
    assert_eq!(
        world.header(0, "Content-Type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(world.body(1), "a=1");
    assert_eq!(world.header(1, "Content-Type"), Some("application/json"));
    assert_eq!(world.body(2), "{\"a\":1}");
}

// javascript-api/k6-http/file: multipart requests
#[test]
fn files_are_sent_as_multipart() {
    let mut world = world(
        "http.post('http://a.test/', {
           f: http.file('text', 'a\"b.txt', 'text/plain'), n: 5,
           bytes: http.file(new Uint8Array([65, 66]).buffer, 'x.bin'),
         });",
    );
    world.run();
    let content_type = world.header(0, "Content-Type").expect("a type").to_owned();
    let boundary = content_type
        .strip_prefix("multipart/form-data; boundary=")
        .expect("a form");
    let body = world.body(0);
    assert_eq!(body.matches(boundary).count(), 4);
    assert!(body.contains(
        "name=\"f\"; filename=\"a\\\"b.txt\"\r\nContent-Type: text/plain\r\n\r\ntext\r\n"
    ));
    assert!(body.contains("name=\"n\"\r\n\r\n5\r\n"));
    assert!(body.contains("Content-Type: application/octet-stream\r\n\r\nAB\r\n"));
    assert!(body.ends_with("--\r\n"));
}

// javascript-api/k6-http/request: a body is an ArrayBuffer, not a typed array
#[test]
fn buffers_are_bodies() {
    let mut world = world(
        "http.post('http://a.test/', new Uint8Array([104, 105]).buffer);
         try { http.post('http://a.test/', new Uint8Array([1])); } catch (e) { console.log(e.name); }",
    );
    assert_eq!(world.run(), ["TypeError"]);
    assert_eq!(world.body(0), "hi");
    assert_eq!(world.requests.len(), 1);
}

// javascript-api/k6-http/params
#[test]
fn params_are_heard() {
    let mut world = world(
        "http.get('http://a.test/', { headers: { 'X-A': 1, Host: 'other' }, tags: { name: 'N', t: 'u' },
           timeout: 1500, responseType: 'none' });
         http.get('http://a.test/', { timeout: '1m30s', responseType: 'binary' });
         http.get(http.url`http://a.test/${5}/x/${'y'}`);
         http.get('http://u:p@a.test/', { auth: 'basic' });",
    );
    world.run();
    assert_eq!(world.header(0, "x-a"), Some("1"));
    assert_eq!(world.header(0, "host"), Some("other"));
    assert_eq!(world.requests[0].timeout, Duration::from_millis(1500));
    assert_eq!(world.requests[0].body_use, BodyUse::Discarded);
    assert_eq!(world.requests[0].name, RequestName::Given("N".into()));
    assert!(world.requests[0].tags.contains(&("t".into(), "u".into())));
    assert_eq!(world.requests[1].timeout, Duration::from_secs(90));
    assert_eq!(world.requests[1].body_use, BodyUse::Kept);
    assert_eq!(world.requests[1].name, RequestName::Address);
    assert_eq!(world.requests[2].url, "http://a.test/5/x/y");
    assert_eq!(
        world.requests[2].name,
        RequestName::Given("http://a.test/${}/x/${}".into())
    );
    assert_eq!(world.header(3, "Authorization"), Some("Basic dTpw"));
    assert_eq!(world.requests[3].url, "http://a.test/");
}

// javascript-api/k6-http/params: redirects; the response is the last one
#[test]
fn redirects_are_followed() {
    let mut world = world(
        "const r = http.post('http://a.test/0', 'body', { headers: { Authorization: 's' } });
         console.log(r.url, r.status, r.body);
         console.log(http.get('http://a.test/1', { redirects: 0 }).status);
         console.log(http.get('http://a.test/loop').status);
         console.log(http.post('http://a.test/keep', 'body').body);",
    )
    .answering(|request| {
        Ok(match request.url.as_str() {
            "http://a.test/0" => answer(302, &[("Location", "/1")], ""),
            "http://a.test/1" => answer(301, &[("location", "http://b.test/2")], ""),
            "http://a.test/loop" => answer(302, &[("Location", "/loop")], ""),
            "http://a.test/keep" => answer(307, &[("Location", "/kept")], ""),
            _ => ok(&format!("{} {}", request.method, request.url)),
        })
    });
    assert_eq!(
        world.run(),
        [
            "http://b.test/2 200 GET http://b.test/2",
            "301",
            "302",
            "POST http://a.test/kept"
        ]
    );
    assert_eq!(world.requests[1].method, "GET");
    assert_eq!(world.requests[1].body, None);
    assert_eq!(world.header(1, "Authorization"), Some("s"));
    assert_eq!(world.header(2, "Authorization"), None, "another host");
    let loops = world
        .requests
        .iter()
        .filter(|r| r.url.ends_with("/loop"))
        .count();
    assert_eq!(loops, 11);
    assert_eq!(
        world.requests.last().map(|r| r.body.as_deref()),
        Some(Some(&b"body"[..]))
    );
}

// using-k6/cookies: a jar per VU, cleared after each iteration; cookies of a request are its own
#[test]
fn cookies_come_back_until_the_iteration_ends() {
    let mut world = world(
        "http.get('http://a.test/login'); http.get('http://a.test/x');
         http.get('http://b.test/x');
         http.get('http://a.test/x', { cookies: { own: 'o', k: { value: 'mine', replace: true } } });
         http.get('http://a.test/x');",
    )
    .answering(|_| Ok(answer(200, &[("Set-Cookie", "k=v; Path=/")], "")));
    world.run();
    assert_eq!(world.header(0, "Cookie"), None);
    assert_eq!(world.header(1, "Cookie"), Some("k=v"));
    assert_eq!(world.header(2, "Cookie"), None);
    assert_eq!(world.header(3, "Cookie"), Some("own=o; k=mine"));
    assert_eq!(world.header(4, "Cookie"), Some("k=v"));
    world.requests.clear();
    world.run();
    assert_eq!(world.header(0, "Cookie"), None, "another iteration");
}

// using-k6/k6-options/reference: noCookiesReset
#[test]
fn cookies_are_kept_where_the_options_say_so() {
    let mut world = World::new(
        "import http from 'k6/http'; export const options = { noCookiesReset: true };
         export default () => { http.get('http://a.test/'); }",
    )
    .answering(|_| Ok(answer(200, &[("Set-Cookie", "k=v")], "")));
    world.run();
    world.run();
    assert_eq!(world.header(1, "Cookie"), Some("k=v"));
}

// javascript-api/k6-http/cookiejar
#[test]
fn jars_are_the_scripts_own() {
    let mut world = world(
        "const jar = http.cookieJar(); const u = 'http://a.test/x';
         jar.set(u, 'a', '1'); jar.set(u, 'b', '2', { path: '/other' });
         console.log(JSON.stringify(jar.cookiesForURL(u)));
         http.get(u);
         jar.delete(u, 'a'); http.get(u);
         const own = new http.CookieJar(); own.set(u, 'c', '3'); http.get(u, { jar: own });
         own.clear(u); http.get(u, { jar: own });",
    );
    assert_eq!(world.run(), ["{\"a\":[\"1\"]}"]);
    let sent: Vec<_> = (0..4).map(|n| world.header(n, "Cookie")).collect();
    assert_eq!(sent, [Some("a=1"), None, Some("c=3"), None]);
}

// using-k6/k6-options: a failed request does not throw; javascript-api/error-codes
#[test]
fn a_failed_request_has_an_error() {
    let mut world = world(
        "const r = http.get('http://a.test/');
         console.log(r.status, r.error, r.error_code, r.body, JSON.stringify(r.headers));
         try { http.get('http://a.test/', { throw: true }); } catch (e) { console.log(e.message); }
         console.log(http.get('nonsense').error_code, http.get('ftp://a.test/').error_code);
         try { r.json(); } catch (e) { console.log('no json'); }",
    )
    .answering(|_| {
        Err(Failed {
            code: 1212,
            message: "refused".into(),
        })
    });
    assert_eq!(
        world.run(),
        ["0 refused 1212 null {}", "refused", "1020 1020", "no json"]
    );
    let mut world = self::world("console.log(http.get('http://a.test/').error_code);")
        .answering(|_| Ok(answer(404, &[], "")));
    assert_eq!(world.run(), ["1404"]);
}

// javascript-api/k6-http/response: timings.duration is the time until there was an answer
#[test]
fn who_got_no_answer_waited_for_one() {
    let mut world =
        world("console.log(http.get('http://a.test/').timings.duration);").answering(|_| {
            Err(Failed {
                code: 1050,
                message: "request timeout".into(),
            })
        });
    assert_eq!(world.run(), ["10"]);
}

// RFC 6265, section 5.4: one `Cookie` line
#[test]
fn cookies_of_the_jar_stand_in_the_line_that_the_script_writes() {
    let mut world = world(
        "http.cookieJar().set('http://a.test/', 'jar', '1');
         http.get('http://a.test/', { headers: { cookie: 'own=2' } });",
    );
    world.run();
    let headers = &world.requests[0].headers;
    let lines = headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
    let lines: Vec<&str> = lines.map(|(_, value)| value.as_str()).collect();
    assert_eq!(lines, ["own=2; jar=1"]);
}

// javascript-api/k6-http/batch
#[test]
fn a_batch_runs_side_by_side() {
    let mut world = world(
        "const all = http.batch(['http://a.test/1', ['POST', 'http://a.test/2', 'b'],
           { method: 'PUT', url: 'http://a.test/3', body: { c: 1 } }]);
         console.log(Array.isArray(all), all.map(r => r.body).join());
         const named = http.batch({ x: 'http://a.test/4', y: 'nonsense' });
         console.log(Object.keys(named).join(), named.x.body, named.y.error_code);",
    )
    .answering(|request| Ok(ok(&format!("{} {}", request.method, &request.url[14..]))));
    let before = world.now;
    assert_eq!(world.run(), ["true GET 1,POST 2,PUT 3", "x,y GET 4 1020"]);
    assert_eq!(world.now.saturating_sub(before), Duration::from_millis(20));
    assert_eq!(world.body(2), "c=1");
}

// using-k6/k6-options/reference: batch 20, batchPerHost 6
#[test]
fn a_batch_has_limits() {
    let mut world =
        world("http.batch(Array.from({ length: 30 }, (_, n) => `http://a.test/${n}`));");
    world.run();
    assert_eq!((world.most_at_once, world.requests.len()), (6, 30));
    let mut world =
        self::world("http.batch(Array.from({ length: 60 }, (_, n) => `http://h${n % 10}.test/`));");
    world.run();
    assert_eq!((world.most_at_once, world.requests.len()), (20, 60));
}

// javascript-api/k6-http/asyncrequest
#[test]
fn async_requests_run_side_by_side() {
    let mut world = World::new(
        "import http from 'k6/http';
         export default async () => {
           const all = await Promise.all([1, 2, 3].map(n => http.asyncRequest('GET', `http://a.test/${n}`)));
           console.log(all.map(r => r.body).join());
           const bad = await http.asyncRequest('GET', 'nonsense');
           console.log(bad.error_code);
         }",
    )
    .answering(|request| {
        Ok(match request.url.as_str() {
            "http://a.test/2" => answer(302, &[("Location", "/4")], ""),
            url => ok(&url[14..]),
        })
    });
    let before = world.now;
    assert_eq!(world.run(), ["1,4,3", "1020"]);
    assert_eq!(world.now.saturating_sub(before), Duration::from_millis(20));
}

// using-k6/k6-options/reference: discardResponseBodies, userAgent, noConnectionReuse
#[test]
fn options_hold_for_all_requests() {
    let mut world = World::new(
        "import http from 'k6/http';
         export const options = { discardResponseBodies: true, userAgent: 'me', noConnectionReuse: true,
           maxRedirects: 0 };
         export default () => {
           console.log(http.get('http://a.test/').body);
           console.log(http.get('http://a.test/', { responseType: 'text' }).body);
         }",
    )
    .answering(|request| {
        let mut answer = answer(302, &[("Location", "/x")], "b");
        if request.body_use == BodyUse::Discarded {
            answer.body = None;
        }
        Ok(answer)
    });
    assert_eq!(world.run(), ["null", "b"]);
    assert_eq!(world.header(0, "User-Agent"), Some("me"));
    assert!(!world.requests[0].keeps_connection);
    assert_eq!(world.requests.len(), 2);
}

// javascript-api/k6-http/setresponsecallback, expectedstatuses
#[test]
fn expected_statuses_go_along() {
    let mut world = world(
        "const u = 'http://a.test/'; http.get(u);
         http.get(u, { responseCallback: http.expectedStatuses(404, { min: 500, max: 503 }) });
         http.setResponseCallback(http.expectedStatuses(201)); http.get(u);
         http.get(u, { responseCallback: null });
         http.setResponseCallback(null); http.get(u);",
    );
    world.run();
    let expected: Vec<_> = world.requests.iter().map(|r| r.expected.clone()).collect();
    assert_eq!(
        expected,
        [
            Expected::Statuses([200..=399].into()),
            Expected::Statuses([404..=404, 500..=503].into()),
            Expected::Statuses([201..=201].into()),
            Expected::Unjudged,
            Expected::Unjudged,
        ]
    );
}

// javascript-api/k6-http/params: responseType binary gives an ArrayBuffer
#[test]
fn binary_answers_are_buffers() {
    let mut world = world(
        "const b = http.get('http://a.test/', { responseType: 'binary' }).body;
         console.log(b instanceof ArrayBuffer, new Uint8Array(b).join());",
    )
    .answering(|_| Ok(answer(200, &[], "AB")));
    assert_eq!(world.run(), ["true 65,66"]);
}

// javascript-api/k6-http/params: auth "digest"
#[test]
fn digest_answers_a_challenge() {
    let mut world =
        world("console.log(http.get('http://u:p@a.test/x?y=1', { auth: 'digest' }).status);")
            .answering(|request| {
                let is_there = request
                    .headers
                    .iter()
                    .any(|(name, _)| name == "Authorization");
                Ok(match is_there {
                    is_there if is_there => ok(""),
                    _ => answer(
                        401,
                        &[("WWW-Authenticate", "Digest realm=\"r\", nonce=\"n\"")],
                        "",
                    ),
                })
            });
    assert_eq!(world.run(), ["200"]);
    assert_eq!(world.header(0, "Authorization"), None);
    let given = world.header(1, "Authorization").expect("an answer");
    assert!(
        given.starts_with("Digest username=\"u\", realm=\"r\""),
        "{given}"
    );
    assert!(given.contains("uri=\"/x?y=1\""), "{given}");
}

// javascript-api/k6-http/params: compression
#[test]
fn bodies_are_packed_where_asked_for() {
    let mut world =
        world("http.post('http://a.test/', 'a'.repeat(1000), { compression: 'gzip' });");
    world.run();
    assert_eq!(world.header(0, "Content-Encoding"), Some("gzip"));
    let body = world.requests[0].body.as_deref().expect("a body");
    assert!(body.starts_with(&[0x1f, 0x8b]) && body.len() < 100);
}

// javascript-api/k6-http/response: `request` is what was sent
#[test]
fn a_response_knows_its_request() {
    let mut world = world(
        "const h = { headers: { 'x-a': 'b' } };
         const one = http.post('http://a.test/', 'text', h).request;
         console.log(one.method, one.url, one.body, JSON.stringify(one.headers));
         console.log(http.post('http://a.test/', { a: 1 }).request.body);
         console.log(JSON.stringify(http.get('http://a.test/').request));",
    );
    assert_eq!(
        world.run(),
        [
            "POST http://a.test/ text {\"X-A\":[\"b\"]}",
            "a=1",
            "{\"method\":\"GET\",\"url\":\"http://a.test/\",\"headers\":{},\"body\":\"\",\"cookies\":{}}",
        ]
    );
}

// A group and own tags end with the iteration, or go on with the scenario.
#[test]
fn tags_are_those_of_the_moment() {
    let mut world = World::new(
        "import http from 'k6/http'; import exec from 'k6/execution'; import { group, sleep } from 'k6';
         export default () => {
           http.get('http://a.test/');
           if (__ITER === 0) { exec.vu.metrics.tags.own = 'x'; }
           group('g', () => { http.get('http://a.test/'); if (__ITER === 0) throw 'out'; });
         }",
    );
    world.throws();
    world.run();
    let tags: Vec<String> = world
        .requests
        .iter()
        .map(|r| {
            r.tags
                .iter()
                .map(|(n, v)| format!("{n}={v}"))
                .collect::<Vec<_>>()
                .join(",")
        })
        .collect();
    assert_eq!(tags, ["", "group=::g,own=x", "own=x", "group=::g,own=x"]);
}

// javascript-api/k6-http/params: what is no such thing is named
#[test]
fn params_that_are_wrong_are_named() {
    for (params, word) in [
        ("{ timeout: 'soon' }", "timeout"),
        ("{ timeout: -5 }", "timeout"),
        ("{ responseType: 'xml' }", "responseType"),
        ("{ auth: 'ntlm' }", "ntlm"),
        ("{ compression: 'br' }", "br"),
        ("{ responseCallback: 5 }", "expectedStatuses"),
        ("{ get headers() { throw new Error('mine'); } }", "mine"),
    ] {
        let script = format!("http.post('http://a.test/', 'b', {params});");
        let thrown = world(&script).throws();
        assert!(thrown.message.contains(word), "{params}: {thrown:?}");
    }
}

// Bodies of odd values are texts or errors, never a panic.
#[test]
fn odd_bodies_do_no_harm() {
    let mut world = world(
        "const u = 'http://a.test/';
         for (const body of [5, true, [1, 2], {}, { a: null, b: undefined, c: { d: 1 } }, new Date(0),
             Object.create(null), '\\ud800', 10n]) {
           try { http.post(u, body); } catch (e) { console.log(String(e)); }
         }
         try { http.post(u, Symbol('s')); } catch (e) { console.log('no'); }
         try { http.get(Symbol('s')); } catch (e) { console.log('no'); }
         try { http.get(); } catch (e) { console.log('no'); }
         try { http.request(); } catch (e) { console.log('no'); }",
    );
    let printed = world.run();
    assert!(world.requests.len() >= 7, "{printed:?}");
    assert_eq!(world.body(0), "5");
    assert_eq!(world.body(4), "a=null&b=undefined&c=%7B%22d%22%3A1%7D");
}
