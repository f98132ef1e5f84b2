use proptest::prelude::*;
use serde_json::json;

use super::*;

fn curl(line: &str) -> Imported {
    import(Source::Curl(line), &Wishes::default()).unwrap()
}

fn har(entries: &serde_json::Value) -> Result<Imported, ImportError> {
    let file = json!({ "log": { "entries": entries } }).to_string();
    import(Source::Har(file.as_bytes()), &Wishes::default())
}

/// An entry of a recording, `at` seconds after the first.
fn entry(at: u32, method: &str, path: &str, answer: &serde_json::Value) -> serde_json::Value {
    json!({
        "startedDateTime": format!("2026-11-30T15:00:{at:02}.000Z"),
        "time": 0,
        "request": { "method": method, "url": format!("http://127.0.0.1:8080{path}") },
        "response": {
            "status": 200,
            "content": { "mimeType": "application/json", "text": answer.to_string() },
        },
    })
}

#[test]
fn a_line_of_curl_is_read_as_a_shell_reads_it() {
    for (line, parts) in [
        (
            "curl localhost:8080/a?b=1",
            &["url = \"http://localhost:8080\"", "get = \"/a?b=1\""][..],
        ),
        (
            "$ curl -sS --max-time 5 -o x http://localhost",
            &["get = \"/\""],
        ),
        (
            "curl -d a=1 -d 'b=x y' http://localhost/",
            &["post = \"/\"", "form = { a = \"1\", b = \"x y\" }"],
        ),
        (
            "curl -X PURGE http://localhost/a",
            &["method = \"PURGE\"\nurl = \"/a\""],
        ),
        ("curl -I http://localhost/a", &["head = \"/a\""]),
        (
            "curl -G -d q=1 --data-urlencode 'r=a&b' http://localhost/a",
            &["get = \"/a?q=1&r=a%26b\""],
        ),
        (
            "curl --json '{\"a\": [1, true], \"b\": \"{{c}}\"}' http://localhost",
            &["json = { a = [1, true], b = \"{{ \\\"{{\\\" }}c}}\" }"],
        ),
        (
            "curl --json '{\"a\": null}' http://localhost",
            &[
                "body = \"{ \\\"a\\\":null}\"",
                "content-type = \"application/json\"",
            ],
        ),
        (
            "curl -d $'a\\tb\\x41\\u00e9' -H 'content-type: text/plain' http://localhost",
            &["body = \"a\\tbA\u{e9}\""],
        ),
        (
            "curl -kL --resolve a:1:127.0.0.1 http://localhost",
            &[
                "insecure = true",
                "redirects = 10",
                "resolve = [\"a:1:127.0.0.1\"]",
            ],
        ),
        ("curl http://localhost/a#b", &["get = \"/a\""]),
        (
            "curl \"http://localhost/$ID?k=${NAME}\" | jq .",
            &[
                "get = \"/{{ env.ID }}?k={{ env.NAME }}\"",
                "# export ID=...",
            ],
        ),
        (
            "curl http://localhost/a http://localhost/b",
            &["name = \"a\"", "name = \"b\""],
        ),
        (
            "curl -u me:pw12345 http://localhost",
            &["basic-auth = { user = \"me\", password = \"{{ env.PASSWORD }}\" }"],
        ),
        (
            "curl -u me http://localhost",
            &["basic-auth = { user = \"me\", password = \"{{ env.PASSWORD }}\" }"],
        ),
        (
            "curl http://me:pw12345@localhost",
            &["user = \"me\", password = \"{{ env.PASSWORD }}\""],
        ),
        (
            "curl -H 'Authorization: Basic bWU6cHcxMjM0NQ==' http://localhost",
            &["user = \"me\", password = \"{{ env.PASSWORD }}\""],
        ),
        (
            "curl 'http://localhost/?api_key=abc&n=1'",
            &["get = \"/?api_key={{ env.API_KEY }}&n=1\""],
        ),
    ] {
        let made = curl(line).profile;
        for part in parts {
            assert!(made.contains(part), "{line}: no `{part}`:\n{made}");
        }
    }
}

#[test]
fn a_brace_before_a_variable_is_no_part_of_it() {
    let line = r#"curl -d "x{$A" -H 'content-type: text/plain' "http://localhost/a{$ID""#;
    let made = curl(line).profile;
    for part in [
        "post = \"/a%7B{{ env.ID }}\"",
        r#"body = "x{{ \"{\" }}{{ env.A }}""#,
    ] {
        assert!(made.contains(part), "no `{part}`:\n{made}");
    }
}

#[test]
fn a_line_that_cannot_be_carried_over_says_what_to_write() {
    for (line, part) in [
        ("curl", "has no address"),
        ("curl http://localhost\n-H 'a: b'", "with a backslash"),
        ("curl -d", "`-d` at the end has no value"),
        (
            "curl -d @body http://localhost",
            "put what is in it into the line",
        ),
        ("curl http://localhost/$(id)", "$(...)"),
        ("curl http://localhost/`id`", "another command"),
        ("curl ftp://localhost/", "`ftp://` is not HTTP"),
        ("curl -T x http://localhost", "reads a file"),
        ("curl -b jar http://localhost", "as -b 'NAME=VALUE'"),
    ] {
        let why = import(Source::Curl(line), &Wishes::default())
            .unwrap_err()
            .to_string();
        assert!(why.contains(part), "{line}: {why}");
    }
}

#[test]
fn only_this_machine_and_who_is_allowed_are_taken_in() {
    let line = "curl http://localhost/a https://shop.example/b http://127.9.9.9/c http://[::1]/d \
        http://10.0.0.1/e";
    let made = curl(line);
    assert!(
        !made.profile.contains("/b\"") && !made.profile.contains("/e\""),
        "{}",
        made.profile
    );
    assert!(made.told[0].contains("2 requests") && made.told[0].contains("10.0.0.1, shop.example"));
    let wishes = Wishes {
        allowed: vec!["Shop.example".to_owned()],
        ..Wishes::default()
    };
    let made = import(Source::Curl(line), &wishes).unwrap().profile;
    assert!(
        made.contains("allow = [\"shop.example\"]")
            && made.contains("get = \"https://shop.example/b\""),
        "{made}"
    );
    let wishes = Wishes {
        url: Some("http://127.0.0.1:1/base/".to_owned()),
        ..Wishes::default()
    };
    let line = "curl https://shop.example/b -X POST -H 'origin: https://shop.example'";
    let made = import(Source::Curl(line), &wishes).unwrap().profile;
    assert!(
        made.contains("post = \"/base/b\"") && made.contains("origin = \"http://127.0.0.1:1\""),
        "{made}"
    );
}

#[test]
fn what_comes_back_is_extracted_and_what_the_client_said_is_not() {
    let answers = json!({ "id": 73, "name": "ann", "lang": "en", "at": { "key/a": "k-00991827" } });
    let made = har(&json!([
        entry(0, "GET", "/users?name=ann", &answers),
        entry(
            1,
            "GET",
            "/users/73/posts?lang=en&name=ann&k=k-00991827",
            &json!({})
        ),
        entry(2, "GET", "/users/73?of=74", &json!({})),
    ]));
    let made = made.unwrap().profile;
    for part in [
        "extract = { user_id = \"/id\", key_a = \"/at/key~1a\" }",
        "get = \"/users/{{ user_id }}/posts?lang=en&name=ann&k={{ key_a }}\"",
        "get = \"/users/{{ user_id }}?of=74\"",
    ] {
        assert!(made.contains(part), "no `{part}`:\n{made}");
    }
}

#[test]
fn a_value_that_stands_in_no_field_is_found_by_what_is_before_it() {
    let mut page = entry(0, "GET", "/", &json!(null));
    page["response"]["content"]["text"] =
        json!("<script>window.boot = {build: 'a1b2c3d4e5f6a7b8c9'}</script>");
    let made = har(&json!([
        page,
        entry(1, "GET", "/a1b2c3d4e5f6a7b8c9/data", &json!({}))
    ]))
    .unwrap();
    assert!(made.profile.contains("regex:"), "{}", made.profile);
    assert!(made.profile.contains("}}/data\""), "{}", made.profile);
}

#[test]
fn what_no_request_can_have_is_left_out() {
    let bad = |key: &str, value: &str| {
        let mut bad = entry(0, "GET", "/a", &json!({}));
        bad["request"][key] = json!(value);
        bad
    };
    let mut odd = entry(0, "GET", "/ü?q={\"a b\"}|{{x}}", &json!({}));
    odd["request"]["headers"] =
        json!([{ "name": "x y", "value": "1" }, { "name": "x-z", "value": "a\nb" }]);
    let made = har(&json!([
        bad("method", "CONNECT"),
        bad("method", "A B"),
        bad("url", "http://127.0.0.1:80:1/"),
        bad("url", "http://127.0.0.1:0/"),
        bad("url", "http://127.0.0.1:+8/"),
        bad("url", "http://[::1/"),
        odd,
    ]));
    let made = made.unwrap().profile;
    assert_eq!(made.matches("name = ").count(), 1, "{made}");
    assert!(
        made.contains("get = \"/%C3%BC?q=%7B%22a%20b%22%7D%7C%7B%7Bx%7D%7D\""),
        "{made}"
    );
    assert!(!made.contains("x-z") && !made.contains("x y"), "{made}");
}

#[test]
fn a_session_that_began_before_the_recording_is_told_and_taken_from_the_environment() {
    let mut first = entry(0, "GET", "/home", &json!({}));
    first["request"]["headers"] =
        json!([{ "name": "Cookie", "value": "sessionid=0a1b2c3d4e; theme=dark" }]);
    let made = har(&json!([first])).unwrap();
    assert!(
        made.profile.contains("cookie = \"{{ env.COOKIE }}\""),
        "{}",
        made.profile
    );
    assert!(!made.profile.contains("0a1b2c3d4e"), "{}", made.profile);
    let told = made.told.join("\n");
    assert!(
        told.contains("the cookies sessionid were set before it") && told.contains("sets: theme"),
        "{told}"
    );
}

#[test]
fn redirects_pauses_and_statuses_of_a_recording_are_kept() {
    let mut redirect = entry(0, "POST", "/a", &json!({}));
    redirect["response"] =
        json!({ "status": 302, "headers": [{ "name": "location", "value": "/b" }] });
    let mut missing = entry(9, "GET", "/c", &json!({}));
    missing["response"]["status"] = json!(404);
    let mut cached = entry(9, "GET", "/d", &json!({}));
    cached["response"]["status"] = json!(304);
    let mut socket = entry(9, "GET", "/ws", &json!({}));
    socket["request"]["url"] = json!("ws://127.0.0.1:8080/ws");
    let made = har(&json!([
        cached,
        missing,
        redirect,
        entry(0, "GET", "/b", &json!({})),
        socket
    ]))
    .unwrap();
    for part in [
        "redirects = 1",
        "post = \"/a\"\n",
        "think = { exponential = \"9s\" }",
        "get = \"/c\"\nexpect = [404]",
        "left out: GET /ws: it is a WebSocket",
    ] {
        assert!(
            made.profile.contains(part),
            "no `{part}`:\n{}",
            made.profile
        );
    }
    assert!(
        !made.profile.contains("\"/b\"") && !made.profile.contains("304"),
        "{}",
        made.profile
    );
}

#[test]
fn a_long_recording_ends_where_a_scenario_does() {
    let entries: Vec<_> = (0..150)
        .map(|i| entry(i % 60, "GET", &format!("/{i}"), &json!({})))
        .collect();
    let made = har(&json!(entries)).unwrap();
    assert!(made.profile.matches("[[scenario.steps]]").count() <= 100);
    assert!(
        made.told
            .iter()
            .any(|t| t.contains("requests after the first")),
        "{:?}",
        made.told
    );
}

#[test]
fn examples_keep_to_their_schemas_and_circles_end() {
    let description = r##"
openapi: 3.0.3
servers: [{ url: "http://localhost:1/v1/" }]
paths:
  /nodes:
    post:
      requestBody: { content: { application/json: { schema: { $ref: "#/components/schemas/Node" } } } }
      responses: { "201": { description: made } }
components:
  schemas:
    Node:
      type: object
      required: [name, size, share, next, kind, when, of]
      properties:
        name: { type: string, minLength: 6, maxLength: 8 }
        size: { type: integer, exclusiveMinimum: 4, maximum: 9 }
        share: { type: number, maximum: 0.5 }
        kind: { enum: [leaf, branch] }
        when: { type: string, format: date-time }
        next: { $ref: "#/components/schemas/Node" }
        of: { anyOf: [{ type: "null" }, { type: array, items: { type: boolean } }] }
        left: { type: string }
"##;
    let wishes = Wishes {
        operations: vec!["post /nodes".to_owned()],
        ..Wishes::default()
    };
    let made = import(Source::OpenApi(description), &wishes)
        .unwrap()
        .profile;
    for part in [
        "post = \"/v1/nodes\"",
        "textxx",
        "\\\"size\\\":5",
        "\\\"share\\\":0.5",
        "leaf",
        "[true]",
        "2026-01-31T12:00:00Z",
    ] {
        assert!(made.contains(part), "no `{part}`:\n{made}");
    }
    assert!(!made.contains("left"), "{made}");
}

#[test]
fn aliases_of_yaml_do_not_grow_without_end() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let before = format!("*a{}", i - 1);
        let items = vec![before; 10].join(", ");
        text = format!("{text}a{i}: &a{i} [{items}]\n");
    }
    text.push_str("paths: *a11\n");
    assert!(import(Source::OpenApi(&text), &Wishes::default()).is_err());
}

#[test]
fn flags_make_the_request_that_curl_would() {
    let flags = RequestFlags {
        headers: vec![
            Data::of("Content-Type: text/plain"),
            Data::of("X-A: 1"),
            Data::of("x-a: {{ vu }}"),
            Data::Read("x-b: {{ vu }}\n\nx-c: 3\n".to_owned()),
        ],
        method: Some("put".to_owned()),
        data: vec![Data::of("a=1"), Data::Read("{{b}}".to_owned())],
        cookie: vec!["c=1".to_owned(), "d=2".to_owned()],
        ..RequestFlags::default()
    };
    let call = flags.call("http://127.0.0.1:1/x?y=1").unwrap();
    let text = scenario(&call);
    for part in [
        "put = \"/x?y=1\"",
        "content-type = \"text/plain\"",
        "x-a = \"1, {{ vu }}\"",
        // What stands in a file is meant as it is.
        "x-b = \"{{ \\\"{{\\\" }} vu }}\"",
        "x-c = \"3\"",
        "body = \"a=1&{{ \\\"{{\\\" }}b}}\"",
        "cookie = \"c=1; d=2\"",
    ] {
        assert!(text.contains(part), "no `{part}`:\n{text}");
    }
}

#[test]
fn a_credential_beside_a_placeholder_is_found_and_two_have_two_names() {
    let flags = RequestFlags {
        json: vec![Data::of(
            r#"{"password":"bodySecret555","id":"{{ uuid() }}","n":{{ vu }}}"#,
        )],
        ..RequestFlags::default()
    };
    let made = of_flags("http://127.0.0.1:8080/a", &flags, Vec::new(), &[], "").unwrap();
    assert!(!made.profile.contains("bodySecret555"), "{}", made.profile);
    assert!(
        made.profile.contains("{{ env.PASSWORD }}"),
        "{}",
        made.profile
    );
    assert!(made.profile.contains("{{ uuid() }}"), "{}", made.profile);
    let flags = RequestFlags {
        user: Some("me:{{ env.PASSWORD }}".to_owned()),
        form: vec!["password=other77".to_owned()],
        ..RequestFlags::default()
    };
    let made = of_flags("http://127.0.0.1:8080/a", &flags, Vec::new(), &[], "").unwrap();
    assert_eq!(made.variables, ["PASSWORD", "PASSWORD_2"]);
    let url = "http://127.0.0.1:8080/a?token=urlSecret1&x=2";
    let made = of_flags(url, &RequestFlags::default(), Vec::new(), &[], "").unwrap();
    assert!(!made.profile.contains("urlSecret1"), "{}", made.profile);
}

#[test]
fn a_credential_is_found_in_a_body_of_any_kind() {
    for (kind, body) in [
        (
            "application/json",
            "{\"a\": null, \"password\": \"hunter2x\"}",
        ),
        (
            "application/json",
            "{\"password\": \"hunter2x\", \"id\": {{id}}}",
        ),
        ("application/x-www-form-urlencoded", "a=b&password=hunter2x"),
        ("text/plain", "user=me\npassword=hunter2x"),
        ("text/xml", "<a><password x=\"1\">hunter2x</password></a>"),
        (
            "multipart/form-data; boundary=x",
            "--x\r\ncontent-disposition: form-data; name=\"password\"\r\n\r\nhunter2x\r\n--x--",
        ),
    ] {
        let line =
            format!("curl -H 'content-type: {kind}' --data-binary '{body}' http://localhost/");
        let made = curl(&line);
        assert!(!made.profile.contains("hunter2x"), "{}", made.profile);
        assert_eq!(made.variables, ["PASSWORD"], "{}", made.profile);
    }
}

fn postman(collection: &serde_json::Value) -> Imported {
    import(
        Source::Postman(collection.to_string().as_bytes()),
        &Wishes::default(),
    )
    .unwrap()
}

fn has(profile: &str, parts: &[&str]) {
    for part in parts {
        assert!(profile.contains(part), "no `{part}`:\n{profile}");
    }
}

#[test]
fn forms_with_files_of_curl_are_carried_over() {
    let wishes = Wishes {
        way: "../".to_owned(),
        ..Wishes::default()
    };
    let line = "curl http://localhost/up -F 'note=a b' -F 'photo=@x/p.png' --form-string 'at=@x;y' \
                -F password=hunter2-word -F \"who=$WHO\" -H 'content-type: multipart/form-data'";
    let made = import(Source::Curl(line), &wishes).unwrap();
    has(
        &made.profile,
        &[
            "post = \"/up\"\nmultipart = [\n",
            "{ name = \"note\", text = \"a b\" }",
            "{ name = \"photo\", file = \"../x/p.png\", type = \"image/png\", filename = \
             \"p.png\" }",
            "{ name = \"at\", text = \"@x;y\" }",
            "{ name = \"password\", text = \"{{ env.PASSWORD }}\" }",
            "{ name = \"who\", text = \"{{ env.WHO }}\" }",
        ],
    );
    assert!(!made.profile.contains("hunter2"), "{}", made.profile);
    assert!(!made.profile.contains("content-type"), "{}", made.profile);
    assert_eq!(made.files, ["../x/p.png"]);
    for (line, why) in [
        ("curl http://localhost/ -F 'a=<b'", "not read as a text"),
        ("curl http://localhost/ -F a=b -d c", "both -d and -F"),
        ("curl http://localhost/ -F \"a=@$HOME/b\"", "has a variable"),
    ] {
        let error = import(Source::Curl(line), &Wishes::default()).unwrap_err();
        assert!(error.to_string().contains(why), "{line}: {error}");
    }
}

#[test]
fn forms_with_files_of_recordings_and_collections_are_carried_over() {
    let mut up = entry(0, "POST", "/up", &json!({}));
    let body = "--X\r\nContent-Disposition: form-data; name=\"csrf_token\"\r\n\r\nhunter2-word\r\n\
                --X\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"/a/p.png\"\r\n\
                Content-Type: image/png\r\n\r\n\u{fffd}\r\n--X--\r\n";
    let kind = "multipart/form-data; boundary=X";
    up["request"]["postData"] = json!({ "mimeType": kind, "text": body });
    let made = har(&json!([up])).unwrap();
    has(
        &made.profile,
        &[
            "{ name = \"csrf_token\", text = \"{{ env.CSRF_TOKEN }}\" }",
            "{ name = \"photo\", file = \"p.png\", type = \"image/png\"",
        ],
    );
    assert_eq!(made.files, ["p.png"]);
    let fields = json!([
        { "key": "who", "value": "{{name}}", "type": "text" },
        { "key": "docs", "type": "file", "src": ["/home/me/a.txt", "b.txt"] },
        { "key": "one", "type": "file", "src": null },
        { "key": "off", "value": "1", "disabled": true },
    ]);
    let made = postman(&json!({ "item": [{ "request": {
        "method": "POST",
        "url": "http://localhost/up",
        "body": { "mode": "formdata", "formdata": fields },
    } }] }));
    has(
        &made.profile,
        &[
            "{ name = \"who\", text = \"{{ env.NAME }}\" }",
            "{ name = \"docs\", file = \"a.txt\" }",
            "{ name = \"docs\", file = \"b.txt\" }",
            "{ name = \"one\", text = \"example\"",
        ],
    );
    assert!(!made.profile.contains("off"), "{}", made.profile);
    assert_eq!(made.files, ["a.txt", "b.txt"]);
}

#[test]
fn forms_with_files_of_a_description_have_made_up_files() {
    let wishes = Wishes {
        url: Some("http://127.0.0.1:8000".to_owned()),
        operations: vec!["post /up".to_owned()],
        ..Wishes::default()
    };
    let of = |document: &serde_json::Value| {
        let text = document.to_string();
        import(Source::OpenApi(&text), &wishes).unwrap().profile
    };
    let schema = json!({ "type": "object", "properties": {
        "photo": { "type": "string", "format": "binary" },
        "docs": { "type": "array", "items": {
            "type": "string", "contentMediaType": "application/octet-stream" } },
        "title": { "type": "string" },
    } });
    let content = json!({ "multipart/form-data": {
        "schema": schema, "encoding": { "photo": { "contentType": "image/png" } } } });
    let three = of(&json!({ "openapi": "3.1.0",
        "paths": { "/up": { "post": { "requestBody": { "content": content } } } } }));
    has(
        &three,
        &[
            "# Its files are made up",
            "{ name = \"photo\", text = \"example\", type = \"image/png\", filename = \
             \"example.txt\" }",
            "{ name = \"docs\", text = \"example\", type = \"text/plain\"",
            "{ name = \"title\", text = \"text\" }",
        ],
    );
    let two = of(
        &json!({ "swagger": "2.0", "paths": { "/up": { "post": { "parameters": [
        { "name": "photo", "in": "formData", "type": "file", "required": true },
        { "name": "title", "in": "formData", "type": "string", "required": true },
    ] } } } }),
    );
    has(
        &two,
        &[
            "{ name = \"photo\", text = \"example\"",
            "{ name = \"title\", text = \"text\" }",
        ],
    );
}

#[test]
fn a_cookie_that_is_sent_back_decoded_is_the_jars() {
    let mut page = entry(0, "GET", "/", &json!({}));
    page["response"]["headers"] = json!([
        { "name": "set-cookie", "value": "XSRF-TOKEN=eyJpdiI6IkZ3a1%3D%3D; Path=/" },
    ]);
    let mut order = entry(1, "POST", "/orders", &json!({}));
    order["request"]["headers"] = json!([{ "name": "X-XSRF-TOKEN", "value": "eyJpdiI6IkZ3a1==" }]);
    let made = har(&json!([page, order])).unwrap();
    let wanted = "x-xsrf-token = \"{{ decoded(cookie.XSRF-TOKEN) }}\"";
    assert!(made.profile.contains(wanted), "{}", made.profile);
    assert!(made.variables.is_empty(), "{:?}", made.variables);
}

#[test]
fn a_pattern_has_an_example_or_says_that_it_must_be_filled_in() {
    let description = |pattern: &str| {
        json!({
            "openapi": "3.1.0",
            "paths": { "/orders": { "post": { "requestBody": { "content": { "application/json": {
                "schema": { "type": "object", "properties": {
                    "code": { "type": "string", "pattern": pattern }
                } } } } } } } },
        })
        .to_string()
    };
    let wishes = Wishes {
        url: Some("http://127.0.0.1:8000".to_owned()),
        operations: vec!["post /orders".to_owned()],
        ..Wishes::default()
    };
    let made = |pattern: &str| {
        let text = description(pattern);
        import(Source::OpenApi(&text), &wishes).unwrap().profile
    };
    let simple = made("^[A-Z]{2}-[0-9]{3}$");
    assert!(simple.contains("code = \"AA-111\""), "{simple}");
    let hard = made("^(?!x).{3}$");
    assert!(
        hard.contains("# FILL IN: a text must match `^(?!x).{3}$`"),
        "{hard}"
    );
}

#[test]
fn a_header_without_a_value_is_taken_out_as_by_curl() {
    let flags = RequestFlags {
        headers: vec![Data::Typed("User-Agent:".to_owned())],
        ..RequestFlags::default()
    };
    let call = flags.call("http://127.0.0.1:8080/a").unwrap();
    let scenario = scenario(&call);
    assert!(
        scenario.contains("headers = { user-agent = \"\" }"),
        "{scenario}"
    );
}

#[test]
fn what_a_recording_was_made_over_is_what_the_profile_asks_for() {
    let over = |scheme: &str, version: &str| {
        let mut one = entry(0, "GET", "/", &json!(1));
        one["request"]["url"] = json!(format!("{scheme}://127.0.0.1:8443/"));
        one["response"]["httpVersion"] = json!(version);
        har(&json!([one])).unwrap()
    };
    for version in ["h2", "HTTP/2.0", "http/2.0", "h3"] {
        let profile = over("https", version).profile;
        assert!(profile.contains("http = \"auto\""), "{version}: {profile}");
    }
    for (scheme, version) in [("https", "HTTP/1.1"), ("https", ""), ("http", "h2")] {
        let profile = over(scheme, version).profile;
        assert!(!profile.contains("http = "), "{version}: {profile}");
    }
    let told = over("https", "h3").told;
    assert!(told.iter().any(|line| line.contains("HTTP/3")), "{told:?}");
}

#[test]
fn what_was_not_carried_over_of_a_request_is_told_and_stands_above_its_step() {
    let mut form = entry(0, "POST", "/upload?key=k3y", &json!(1));
    form["request"]["postData"] = json!({ "mimeType": "multipart/form-data; boundary=x" });
    let mut bytes = entry(1, "POST", "/raw", &json!(1));
    bytes["request"]["postData"] =
        json!({ "mimeType": "image/png", "text": "/w==", "encoding": "base64" });
    let made = har(&json!([form, bytes])).unwrap();
    for line in [
        "POST /upload: Its form was not recorded: write its parts (`multipart`).",
        "POST /raw: Its body is not text and was left out.",
    ] {
        assert!(made.told.iter().any(|told| told == line), "{:?}", made.told);
        let comment = line.split_once(": ").unwrap().1;
        assert!(
            made.profile.contains(&format!("# {comment}")),
            "{}",
            made.profile
        );
    }
}

#[test]
fn what_is_typed_of_a_header_wins_over_what_is_sent_by_itself_and_over_an_empty_one() {
    let headers = |typed: &[&str]| {
        let flags = RequestFlags {
            headers: typed.iter().map(|t| Data::Typed((*t).to_owned())).collect(),
            data: vec![Data::of("a=1")],
            ..RequestFlags::default()
        };
        let call = flags.call("http://127.0.0.1:8080/a").unwrap();
        let mut headers = call.headers.clone();
        headers.sort();
        let lines = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"));
        lines.collect::<Vec<_>>()
    };
    let form = "content-type: application/x-www-form-urlencoded";
    assert_eq!(headers(&[]), [form]);
    assert_eq!(headers(&["Content-Type;"]), ["content-type: "]);
    assert_eq!(
        headers(&["User-Agent:", "User-Agent: x"]),
        [form, "user-agent: x"]
    );
    assert_eq!(headers(&["X-A;", "X-A: 1"]), [form, "x-a: 1"]);
    assert_eq!(headers(&["X-A: 1", "X-A;"]), [form, "x-a: 1"]);
    assert_eq!(headers(&["X-A: 1", "X-A: 2"]), [form, "x-a: 1, 2"]);
}

proptest! {
    #[test]
    fn a_shell_gives_back_what_was_quoted_for_it(body in "[^\u{0}\u{e000}-\u{e002}]{1,40}") {
        let line = format!("curl -H 'content-type: text/plain' -d {} http://localhost/", quoted(&body));
        let escapes = ["^\"", "^\n", "^\r\n"].iter().any(|escape| line.contains(escape));
            prop_assume!(!body.starts_with('@') && !escapes);
        let made = curl(&line);
        let profile: toml::Value = toml::from_str(&made.profile).unwrap();
        let step = &profile["scenario"]["steps"][0];
        // A credential in it is in the environment.
        if made.variables.is_empty() {
            let text = step["body"].as_str().unwrap().replace("{{ \"{{\" }}", "{{");
            prop_assert_eq!(text, body);
        }
    }

    #[test]
    fn no_password_is_written(password in "[!-~]{8,40}") {
        let pair = format!("me:{password}");
        let line = format!("curl -u {} http://localhost/", quoted(&pair));
        prop_assume!(!line.contains("^\""));
        let made = curl(&line);
        prop_assert!(!made.profile.contains(&password), "{}", made.profile);
        prop_assert_eq!(&made.variables, &["PASSWORD".to_owned()]);
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
