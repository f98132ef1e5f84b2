//! `k6/crypto`, `k6/encoding`, `crypto`, selectors: that they are where scripts look for them.

use crate::driver::{World, ok};

const PAGE: &str = "<html><a id=l href='/next?a=1'>Next</a>\
     <form action='/login' method='post'><input name='user' value='u'><input name='pass'>\
     <input type='submit' name='go' value='Go'></form>\
     <form id='q' action='/find'><input name='q' value='x y'></form></html>";

// javascript-api/k6-crypto, k6-encoding
#[test]
fn crypto_and_encoding_are_modules() {
    let mut world = World::new(
        "import crypto, { sha256 } from 'k6/crypto'; import encoding, { b64encode } from 'k6/encoding';
         export default () => {
           console.log(crypto.md5('a', 'hex'), sha256('', 'hex').slice(0, 8));
           console.log(b64encode('hi'), encoding.b64decode('aGk=', 'std', 's'));
         }",
    );
    assert_eq!(
        world.run(),
        ["0cc175b9c0f1b6a831c399e269772661 e3b0c442", "aGk= hi"]
    );
}

// javascript-api/crypto
#[test]
fn webcrypto_is_a_global() {
    let mut world = World::new(
        "export default async () => {
           const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(0)));
           console.log(bytes[0], crypto.randomUUID().length, crypto === globalThis.crypto);
         }",
    );
    assert_eq!(world.run(), ["227 36 true"]);
}

// javascript-api/k6-http/response/response-json: "selector … GJSON syntax"
#[test]
fn json_takes_a_selector() {
    let mut world = World::new(
        "import http from 'k6/http';
         export default () => {
           const r = http.get('http://a.test/');
           console.log(r.json('a.1.b'), r.json('a.#'), r.json('no'), JSON.stringify(r.json('a.#.b')));
         }",
    )
    .answering(|_| Ok(ok("{\"a\":[{\"b\":1},{\"b\":2}]}")));
    assert_eq!(world.run(), ["2 2 undefined [1,2]"]);
}

// javascript-api/k6-html, k6-http/response/response-html
#[test]
fn html_is_parsed_and_searched() {
    let mut world = World::new(
        "import http from 'k6/http'; import { parseHTML } from 'k6/html';
         export default () => {
           const r = http.get('http://a.test/');
           console.log(r.html().find('#l').text(), r.html('form').size());
           console.log(parseHTML('<p class=x>hi</p>').find('p.x').text());
         }",
    )
    .answering(|_| Ok(ok(PAGE)));
    assert_eq!(world.run(), ["Next 2", "hi"]);
}

// javascript-api/k6-http/response/response-submitform, response-clicklink
#[test]
fn forms_are_submitted_and_links_followed() {
    let mut world = World::new(
        "import http from 'k6/http';
         export default () => {
           const r = http.get('http://a.test/dir/');
           r.submitForm({ fields: { pass: 'p' }, params: { tags: { t: 'u' } } });
           r.submitForm({ formSelector: '#q' });
           r.clickLink({ selector: '#l' });
           try { r.submitForm({ formSelector: '#no' }); } catch (e) { console.log(e.message); }
           try { r.clickLink({ selector: '#no' }); } catch (e) { console.log(e.message); }
         }",
    )
    .answering(|_| Ok(ok(PAGE)));
    assert_eq!(
        world.run(),
        [
            "no form found for the selector '#no' in 'http://a.test/dir/'",
            "no link found for the selector '#no' in 'http://a.test/dir/'",
        ]
    );
    assert_eq!(world.requests[1].url, "http://a.test/login");
    assert_eq!(world.body(1), "go=Go&pass=p&user=u");
    assert_eq!(world.requests[1].method, "POST");
    assert!(world.requests[1].tags.contains(&("t".into(), "u".into())));
    assert_eq!(world.requests[2].url, "http://a.test/find?q=x%20y");
    assert_eq!(world.requests[3].url, "http://a.test/next?a=1");
}

#[test]
fn addresses_are_parsed() {
    let mut world = World::new(
        "export default () => {
           const u = new URL('/b?x=1', 'http://a.test/'); u.searchParams.append('y', '2');
           console.log(u.href, typeof URLSearchParams);
         }",
    );
    assert_eq!(world.run(), ["http://a.test/b?x=1&y=2 function"]);
}

// javascript-api/jslib: the most used libraries are there without a network
#[test]
fn libraries_of_jslib_are_built_in() {
    let mut world = World::new(
        "import { randomIntBetween, randomItem, uuidv4 } from
           'https://jslib.k6.io/k6-utils/1.4.0/index.js';
         import papaparse from 'https://jslib.k6.io/papaparse/5.1.1/index.js';
         import { URL } from 'https://jslib.k6.io/url/1.0.0/index.js';
         import { FormData } from 'https://jslib.k6.io/formdata/0.0.2/index.js';
         export default () => {
           console.log(randomIntBetween(3, 3), randomItem(['a']), uuidv4().length);
           console.log(JSON.stringify(papaparse.parse('a,b\\n1,2', { header: true }).data));
           console.log(new URL('http://a.test/x').pathname, typeof new FormData().body);
         }",
    );
    assert_eq!(
        world.run(),
        ["3 a 36", "[{\"a\":\"1\",\"b\":\"2\"}]", "/x function"]
    );
    assert_eq!(world.program.sources().len(), 1);
}
