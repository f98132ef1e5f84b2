//! `k6/crypto`, `k6/encoding`, WebCrypto, selectors: that they are where scripts look for them.

use crate::driver::{World, ok};

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
