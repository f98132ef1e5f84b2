use super::*;
use crate::testing::{eval, eval_error};

/// By Python's hashlib and hmac, and RFC 1320.
const HASHES: &[(&str, &str)] = &[
    (
        "md5('hello world!', 'hex')",
        "fc3ff98e8c6a0d3087d515c0473f8677",
    ),
    (
        "hmac('md5', 'key', 'hello', 'hex')",
        "04130747afca4d79e32e87cf2104f087",
    ),
    (
        "hmac('md5', 'k'.repeat(200), 'hello', 'hex')",
        "0e6b3de235b9826a66f6529e01bb6e63",
    ),
    (
        "sha1('hello world!', 'hex')",
        "430ce34d020724ed75a196dfc2ad67c77772d169",
    ),
    (
        "hmac('sha1', 'key', 'hello', 'hex')",
        "b34ceac4516ff23a143e61d79d0fa7a4fbe5f266",
    ),
    (
        "hmac('sha1', 'k'.repeat(200), 'hello', 'hex')",
        "dfd9af3c81b93afd0001336b24b1ded4f3e37a64",
    ),
    (
        "sha256('hello world!', 'hex')",
        "7509e5bda0c762d2bac7f90d758b5b2263fa01ccbc542ab5e3df163be08e6ca9",
    ),
    (
        "hmac('sha256', 'key', 'hello', 'hex')",
        "9307b3b915efb5171ff14d8cb55fbcc798c6c0ef1456d66ded1a6aa723a58b7b",
    ),
    (
        "hmac('sha256', 'k'.repeat(200), 'hello', 'hex')",
        "174c64caec6f5e924a5df231d79fbb52a10cd73d1b575ded749f9a8ab81c4886",
    ),
    (
        "sha384('hello world!', 'hex')",
        "d33d40f7010ce34aa86efd353630309ed5c3d7ffac66d988825cf699f4803ccd\
         f3f033230612f0945332fb580d8af805",
    ),
    (
        "hmac('sha384', 'key', 'hello', 'hex')",
        "eacbad575c301fa68afb26dae48b25bf5cd42fd08ed28c08c274ce62df7928f0\
         1249976cd8aaf1ab0681d3accedc9543",
    ),
    (
        "hmac('sha384', 'k'.repeat(200), 'hello', 'hex')",
        "b8142c57fe5b0c32c846219bfd187071e39b3792c252f61c6cfcfb82ae62226d\
         0308e376df1813be654a35557f2be919",
    ),
    (
        "sha512('hello world!', 'hex')",
        "db9b1cd3262dee37756a09b9064973589847caa8e53d31a9d142ea2701b1b28a\
         bd97838bb9a27068ba305dc8d04a45a1fcf079de54d607666996b3cc54f6b67c",
    ),
    (
        "hmac('sha512', 'key', 'hello', 'hex')",
        "ff06ab36757777815c008d32c8e14a705b4e7bf310351a06a23b612dc4c7433e\
         7757d20525a5593b71020ea2ee162d2311b247e9855862b270122419652c0c92",
    ),
    (
        "hmac('sha512', 'k'.repeat(200), 'hello', 'hex')",
        "99de81d756eaf11246a55a2e35893958104b5fca0e38f4d78524e54b873cd9bc\
         e9c688f1e7a0b0cf02fa5ac761c05fa0058be9e8863ff6c0fa686afc46fd6813",
    ),
    (
        "sha512_224('hello world!', 'hex')",
        "bc4ed196f7ba1c20f6fb6be1f91edf8293a35b065d6e7d6fd368c890",
    ),
    (
        "hmac('sha512_224', 'key', 'hello', 'hex')",
        "65f0de09201bada199441610a81e6fa6e805bc96684444139a7fc3aa",
    ),
    (
        "hmac('sha512_224', 'k'.repeat(200), 'hello', 'hex')",
        "93d65860025bf4735d96448c35004d6c8eeb03bad032872f1e6f6751",
    ),
    (
        "sha512_256('hello world!', 'hex')",
        "595b5926068b4828fb1c27db21281e31118b8475cb6c3ceeb09be7b685414d5f",
    ),
    (
        "hmac('sha512_256', 'key', 'hello', 'hex')",
        "6149bdedc72e1cb49de9d0e575ed42b04ca960d6064eb8d38aefcbc886864525",
    ),
    (
        "hmac('sha512_256', 'k'.repeat(200), 'hello', 'hex')",
        "eb8d398320a6cb15002d5b137f2a3ebede4c7d20283594342c17cf6861656a02",
    ),
    (
        "ripemd160('hello world!', 'hex')",
        "dffd03137b3a333d5754813399a5f437acd694e5",
    ),
    (
        "hmac('ripemd160', 'key', 'hello', 'hex')",
        "43ab51f803a68a8b894cb32ee19e6854e9f4e468",
    ),
    (
        "hmac('ripemd160', 'k'.repeat(200), 'hello', 'hex')",
        "3d243ae7480b043bdae55d112b7a3eb5da47d29d",
    ),
    ("md4('abc', 'hex')", "a448017aaf21d8525fc10ae87aa6729d"),
    ("md4('', 'hex')", "31d6cfe0d16ae931b73c59d7e0c089c0"),
];

#[test]
fn hashes_are_those_of_others() {
    for (script, wanted) in HASHES {
        assert_eq!(eval(install_crypto, script), *wanted, "{script}");
    }
}

#[test]
fn a_hash_is_put_out_as_it_is_wanted() {
    let cases = [
        ("sha1('a', 'base64')", "hvfkN/qlp/zhXR3cuerq6jd2Z7g="),
        ("sha1('a', 'base64url')", "hvfkN_qlp_zhXR3cuerq6jd2Z7g="),
        ("sha1('a', 'base64rawurl')", "hvfkN_qlp_zhXR3cuerq6jd2Z7g"),
        ("sha1('a', 'binary') instanceof ArrayBuffer", "true"),
        (
            "hexEncode(sha1('a', 'binary')) === sha1('a', 'hex')",
            "true",
        ),
        (
            "sha1(new Uint8Array([97]).buffer, 'hex') === sha1('a', 'hex')",
            "true",
        ),
        ("hexEncode('ab')", "6162"),
        ("randomBytes(8).byteLength", "8"),
        (
            "hexEncode(randomBytes(16)) !== hexEncode(randomBytes(16))",
            "true",
        ),
    ];
    for (script, wanted) in cases {
        assert_eq!(eval(install_crypto, script), wanted, "{script}");
    }
}

#[test]
fn a_hasher_takes_its_input_in_parts_and_goes_on_after_a_digest() {
    let script = "const h = createHash('sha256'); h.update('hello '); const first = \
                  h.digest('hex'); h.update(new Uint8Array([119]).buffer); h.update('orld!'); \
                  first === sha256('hello ', 'hex') && \
                  h.digest('hex') === sha256('hello world!', 'hex')";
    assert_eq!(eval(install_crypto, script), "true");
    let script = "const h = createHMAC('sha1', 'key'); h.update('hel'); h.update('lo'); \
                  h.digest('base64') === hmac('sha1', 'key', 'hello', 'base64')";
    assert_eq!(eval(install_crypto, script), "true");
}

#[test]
fn what_cannot_be_hashed_throws() {
    for script in [
        "createHash('sha3')",
        "createHMAC('crc32', 'key')",
        "hmac('sha3', 'key', 'a', 'hex')",
        "sha1('a', 'base32')",
        "sha1({}, 'hex')",
        "randomBytes(-1)",
        "randomBytes(0.5)",
        "randomBytes(1e12)",
        "randomBytes(NaN)",
    ] {
        assert!(!eval_error(install_crypto, script).is_empty(), "{script}");
    }
}

#[test]
fn webcrypto_draws_and_digests() {
    let hex = "const hex = (b) => Array.from(new Uint8Array(b), (x) => \
               x.toString(16).padStart(2, '0')).join('');";
    let abc = "new Uint8Array([0, 97, 98, 99]).subarray(1)";
    let cases = [
        (
            format!("{hex} crypto.subtle.digest('SHA-256', {abc}).then(hex)"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            format!("{hex} crypto.subtle.digest({{ name: 'sha-1' }}, {abc}).then(hex)"),
            "a9993e364706816aba3e25717850c26c9cd0d89d",
        ),
        (
            "crypto.getRandomValues(new Uint32Array(4)).some((n) => n > 65535)".into(),
            "true",
        ),
        (
            "const a = new Uint8Array(8); crypto.getRandomValues(a.subarray(0, 4)); \
          a.subarray(4).join()"
                .into(),
            "0,0,0,0",
        ),
        (
            "/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/\
          .test(crypto.randomUUID())"
                .into(),
            "true",
        ),
        ("crypto.randomUUID() !== crypto.randomUUID()".into(), "true"),
    ];
    for (script, wanted) in cases {
        assert_eq!(eval(install_webcrypto, &script), wanted, "{script}");
    }
}

#[test]
fn the_rest_of_webcrypto_says_that_it_is_not_there() {
    for script in [
        "crypto.subtle.sign('HMAC', 1, 2)",
        "crypto.subtle.importKey('raw')",
    ] {
        let thrown = eval_error(install_webcrypto, script);
        assert!(thrown.contains("is not supported"), "{thrown}");
    }
    for script in [
        "crypto.subtle.digest('MD5', new ArrayBuffer(1))",
        "crypto.subtle.digest('SHA-1', 'text')",
        "crypto.getRandomValues(new Float32Array(1))",
        "crypto.getRandomValues(new Uint8Array(65537))",
        "crypto.getRandomValues([])",
    ] {
        assert!(
            !eval_error(install_webcrypto, script).is_empty(),
            "{script}"
        );
    }
}
