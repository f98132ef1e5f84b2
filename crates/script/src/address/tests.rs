use super::*;
use crate::testing::{eval, eval_error};

#[test]
fn addresses_have_parts() {
    let u = "const u = new URL('https://us:pa@ex.com:8080/a/b?x=1&y=2#h'); u";
    let cases = [
        ("href", "https://us:pa@ex.com:8080/a/b?x=1&y=2#h"),
        ("origin", "https://ex.com:8080"),
        ("protocol", "https:"),
        ("username", "us"),
        ("password", "pa"),
        ("host", "ex.com:8080"),
        ("hostname", "ex.com"),
        ("port", "8080"),
        ("pathname", "/a/b"),
        ("search", "?x=1&y=2"),
        ("hash", "#h"),
        ("searchParams.get('y')", "2"),
        ("toString()", "https://us:pa@ex.com:8080/a/b?x=1&y=2#h"),
    ];
    for (part, wanted) in cases {
        assert_eq!(
            eval(install_address, &format!("{u}.{part}")),
            wanted,
            "{part}"
        );
    }
    let cases = [
        ("new URL('../c', 'http://a/b/d/e').href", "http://a/b/c"),
        ("new URL('//b/c', 'http://a').href", "http://b/c"),
        ("new URL('http://a:80').href", "http://a/"),
        (
            "new URL('HTTP://EXAMPLE.com/é').href",
            "http://example.com/%C3%A9",
        ),
        (
            "JSON.stringify({ u: new URL('http://a') })",
            r#"{"u":"http://a/"}"#,
        ),
        ("`${new URL('http://a')}`", "http://a/"),
        ("URL.canParse('x')", "false"),
        ("URL.canParse('x', 'http://a')", "true"),
        ("URL.parse('x')", "null"),
    ];
    for (script, wanted) in cases {
        assert_eq!(eval(install_address, script), wanted, "{script}");
    }
}

#[test]
fn parts_can_be_set() {
    let cases = [
        ("u.protocol = 'http'", "http://a.b/c?d=e"),
        ("u.host = 'x:81'", "https://x:81/c?d=e"),
        ("u.hostname = 'y'", "https://y/c?d=e"),
        ("u.port = 8443", "https://a.b:8443/c?d=e"),
        ("u.port = 443", "https://a.b/c?d=e"),
        ("u.pathname = 'p q'", "https://a.b/p%20q?d=e"),
        ("u.search = '?z'", "https://a.b/c?z"),
        ("u.hash = 'top'", "https://a.b/c?d=e#top"),
        ("u.username = 'm'", "https://m@a.b/c?d=e"),
        ("u.password = 'n'", "https://:n@a.b/c?d=e"),
        ("u.href = 'http://n/'", "http://n/"),
        (
            "u.searchParams.append('f', 'g h')",
            "https://a.b/c?d=e&f=g+h",
        ),
        ("u.searchParams.delete('d')", "https://a.b/c"),
        ("u.searchParams.set('d', 'é')", "https://a.b/c?d=%C3%A9"),
        (
            "const p = u.searchParams; u.search = 'q=1'; p.append('r', 2)",
            "https://a.b/c?q=1&r=2",
        ),
        ("u.host = ''", "https://a.b/c?d=e"),
        ("u.port = 'x'", "https://a.b/c?d=e"),
    ];
    for (change, wanted) in cases {
        let script = format!("const u = new URL('https://a.b/c?d=e'); {change}; u.href");
        assert_eq!(eval(install_address, &script), wanted, "{change}");
    }
}

#[test]
fn queries_are_lists_of_pairs() {
    let cases = [
        (
            "new URLSearchParams('?a=1&b=2&a=3').getAll('a')",
            r#"["1","3"]"#,
        ),
        (
            "new URLSearchParams({ a: 1, b: 'x y' }).toString()",
            "a=1&b=x+y",
        ),
        (
            "new URLSearchParams([['a', 1], ['a', 2]]).toString()",
            "a=1&a=2",
        ),
        (
            "new URLSearchParams(new URLSearchParams('a=1')).toString()",
            "a=1",
        ),
        (
            "new URLSearchParams(new Map([['a', 'b']])).toString()",
            "a=b",
        ),
        ("new URLSearchParams().toString()", ""),
        ("new URLSearchParams('a=%26%3D+').get('a')", "&= "),
        ("new URLSearchParams('a=1').get('b')", "null"),
        ("new URLSearchParams('a=1').has('a')", "true"),
        ("new URLSearchParams('a=1').has('a', '2')", "false"),
        ("new URLSearchParams('a=1&b=2').size", "2"),
        (
            "const p = new URLSearchParams('b=1&a=2&b=3'); p.sort(); p.toString()",
            "a=2&b=1&b=3",
        ),
        (
            "const p = new URLSearchParams('a=1&b=2&a=3'); p.set('a', 4); p.toString()",
            "a=4&b=2",
        ),
        (
            "const p = new URLSearchParams('a=1&a=2'); p.delete('a', '1'); p.toString()",
            "a=2",
        ),
        (
            "[...new URLSearchParams('a=1&b=2')]",
            r#"[["a","1"],["b","2"]]"#,
        ),
        ("[...new URLSearchParams('a=1&b=2').keys()].join()", "a,b"),
        ("[...new URLSearchParams('a=1&b=2').values()].join()", "1,2"),
        (
            "let t = ''; new URLSearchParams('a=1&b=2').forEach((v, k) => { t += k + v }); t",
            "a1b2",
        ),
        (
            "new URLSearchParams({ a: '\\ud800' }).toString()",
            "a=%EF%BF%BD",
        ),
        ("Object.keys(new URLSearchParams('a=1'))", "[]"),
    ];
    for (script, wanted) in cases {
        assert_eq!(eval(install_address, script), wanted, "{script}");
    }
}

#[test]
fn what_is_no_address_throws() {
    for script in [
        "new URL('x')",
        "new URL('http://')",
        "new URL('x', 'y')",
        "new URL('http://a b')",
        "new URL('http://a/' + 'x'.repeat(5000000))",
        "new URLSearchParams([['a']])",
        "new URL('http://a').href = 'x'",
    ] {
        assert!(!eval_error(install_address, script).is_empty(), "{script}");
    }
}
