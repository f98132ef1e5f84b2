//! Profiles from what people have, against the service that it came from: each must pass its own
//! cycle there, and no secret of it
//! may be anywhere.

mod shop;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::try_command::{Server, answer, server};

const PASSWORD: &str = "hunter2-shop";

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/import")
        .join(name);
    path.display().to_string()
}

fn breakpoint(folder: &Path, variables: &[(&str, &str)], args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_breakpoint"))
        .args(args)
        .current_dir(folder)
        .env("XDG_STATE_HOME", folder.join("state"))
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn all(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// Writes a profile, and gives its text and what was said.
fn init(folder: &Path, args: &[&str]) -> (String, String) {
    let output = breakpoint(
        folder,
        &[],
        &[&["init", "--out", "made.toml"], args].concat(),
    );
    let said = all(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    (fs::read_to_string(folder.join("made.toml")).unwrap(), said)
}

/// One cycle of what was written.
fn passes(folder: &Path, variables: &[(&str, &str)]) -> String {
    let output = breakpoint(folder, variables, &["try", "made.toml"]);
    let shown = all(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    shown
}

#[test]
fn a_recording_of_chromium_runs_on_the_shop_that_it_came_from() {
    let (shop, dir) = (shop::start(), tempfile::tempdir().unwrap());
    let har = fixture("shop.har");
    let (profile, said) = init(dir.path(), &["--from-har", &har, "--url", &shop.url]);
    assert!(said.contains("export PASSWORD=..."), "{said}");
    assert!(
        !(profile.clone() + &said).contains(PASSWORD),
        "{profile}{said}"
    );
    for part in [
        // The pair of a cookie and what must come back beside it, an id and a receipt; the jar has
        // the session.
        "{{ cookie.csrf }}",
        "password = \"{{ env.PASSWORD }}\"",
        "item_id = \"/items/1/id\"",
        "/api/orders/{{ order_id }}?receipt={{ receipt }}",
        "cookies = \"cycle\"",
        "think = { exponential = \"1.2s\" }",
    ] {
        assert!(profile.contains(part), "no `{part}`:\n{profile}");
    }
    assert!(
        !profile.contains("connect.sid") && !profile.contains("/assets/"),
        "{profile}"
    );
    let shown = passes(dir.path(), &[("PASSWORD", PASSWORD)]);
    assert!(
        shown.contains("\"state\":\"paid\"") && !shown.contains(PASSWORD),
        "{shown}"
    );
    // With another password it fails where that is wrong.
    let wrong = breakpoint(
        dir.path(),
        &[("PASSWORD", "another")],
        &["try", "made.toml"],
    );
    assert_eq!(wrong.status.code(), Some(5), "{}", all(&wrong));
}

#[test]
fn assets_of_a_recording_are_taken_in_where_they_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (profile, _) = init(
        dir.path(),
        &["--from-har", &fixture("shop.har"), "--with-assets"],
    );
    assert!(profile.contains("get = \"/assets/a.css\""), "{profile}");
}

#[test]
fn operations_of_a_description_run_on_the_api_that_it_describes() {
    let (api, dir) = (shop::start(), tempfile::tempdir().unwrap());
    for file in ["items-openapi.json", "items-openapi.yaml"] {
        let description = fixture(file);
        let chosen = "post /items,get /items/{item_id},put /items/{item_id},delete /items/{item_id},\
                      list_items,get /me,post /tree";
        fs::remove_file(dir.path().join("made.toml")).ok();
        let (profile, said) = init(
            dir.path(),
            &[
                "--from-openapi",
                &description,
                "--url",
                &api.url,
                "--operations",
                chosen,
            ],
        );
        assert!(said.contains("export HTTPBEARER=..."), "{said}");
        assert!(
            profile.contains("extract = { items_id = \"/id\" }"),
            "{profile}"
        );
        assert!(
            profile.contains("delete = \"/items/{{ items_id }}\""),
            "{profile}"
        );
        passes(dir.path(), &[("HTTPBEARER", "s3cret-of-the-api")]);
    }
    let output = breakpoint(
        dir.path(),
        &[],
        &[
            "init",
            "--out",
            "x.toml",
            "--from-openapi",
            &fixture("items-openapi.json"),
            "--url",
            &api.url,
            "--operations",
            "get /nothing",
        ],
    );
    let said = all(&output);
    assert!(
        said.contains("no operation `get /nothing`") && said.contains("post /items"),
        "{said}"
    );
}

#[test]
fn a_collection_runs_with_its_variables_and_its_authorization() {
    let (shop, dir) = (shop::start(), tempfile::tempdir().unwrap());
    let file = fixture("shop-postman.json");
    let (profile, said) = init(dir.path(), &["--from-postman", &file, "--url", &shop.url]);
    let whole = profile.clone() + &said;
    assert!(!whole.contains(PASSWORD), "{whole}");
    for part in [
        "2 scripts",
        "left out: `Upload`: its form has no fields",
        "1 requests to hosts that are not this machine: api.example.com",
        "left out: `Unset`: its host is the variable `nowhere`",
        "export PASSWORD=...",
        "export TOKEN=...",
        "# Folder: Catalog",
        "name = \"search-the-catalog\"",
    ] {
        assert!(whole.contains(part), "no `{part}`:\n{whole}");
    }
    passes(
        dir.path(),
        &[("PASSWORD", PASSWORD), ("TOKEN", "t0ken-of-ann")],
    );
}

/// A server that takes one request and no other.
fn only(head: &'static [&'static str], body: &'static str) -> Server {
    server(move |asked| {
        let lines = asked.head.to_ascii_lowercase();
        let right = head.iter().all(|h| lines.contains(&h.to_ascii_lowercase()));
        if right && asked.body == body {
            answer("200 OK", "", "")
        } else {
            answer(
                "400 Bad Request",
                "",
                format!("{}{}", asked.head, asked.body),
            )
        }
    })
}

#[test]
fn what_browsers_copy_runs_and_its_credentials_are_in_the_environment() {
    let head = &[
        "POST /api/questions?page=2 HTTP/1.1\r\n",
        "authorization: Bearer t0p-s3cret-token\r\n",
        "cookie: sid=5e55ion; theme=dark\r\n",
        "x-requested-with: XMLHttpRequest\r\n",
        "content-type: application/json\r\n",
    ];
    // Fields of JSON come in the order of their names.
    let service = only(head, "{\"n\":1,\"text\":\"it's \u{fc} {{x}}\"}");
    let url = &service.url;
    let chrome = format!(
        "curl '{url}/api/questions?page=2' \\\n  -H 'accept: */*' \\\n  -H 'authorization: \
        Bearer t0p-s3cret-token' \\\n  \
         -H 'content-type: application/json' \\\n  -b 'sid=5e55ion; theme=dark' \\\n  -H 'sec-ch-ua: \"Chromium\";v=\"156\"' \\\n  \
         -H 'user-agent: Mozilla/5.0' -H 'x-requested-with: XMLHttpRequest' \\\n  \
         --data-raw $'{{\"text\":\"it\\'s \\u00fc {{{{x}}}}\",\"n\":1}}' --compressed"
    );
    let windows = format!(
        "curl ^\"{url}/api/questions?page=2^\" ^\r\n  -H ^\"authorization: Bearer \
        t0p-s3cret-token^\" ^\r\n  \
         -H ^\"content-type: application/json^\" ^\r\n  -b ^\"sid=5e55ion; theme=dark^\" ^\r\n  \
         -H ^\"x-requested-with: XMLHttpRequest^\" ^\r\n  \
         --data-raw ^\"^{{^\\^\"text^\\^\":^\\^\"it's \u{fc} \
             ^{{^{{x^}}^}}^\\^\",^\\^\"n^\\^\":1^}}^\""
    );
    for line in [chrome, windows] {
        let dir = tempfile::tempdir().unwrap();
        let (profile, said) = init(dir.path(), &["--from-curl", &line]);
        let whole = profile.clone() + &said;
        for secret in ["t0p-s3cret", "5e55ion"] {
            assert!(!whole.contains(secret), "{whole}");
        }
        assert!(
            whole.contains("export TOKEN=...; export COOKIE=..."),
            "{whole}"
        );
        let output = breakpoint(
            dir.path(),
            &[
                ("TOKEN", "t0p-s3cret-token"),
                ("COOKIE", "sid=5e55ion; theme=dark"),
            ],
            &["try", "made.toml"],
        );
        let shown = all(&output);
        assert_eq!(output.status.code(), Some(0), "{profile}\n{shown}");
    }
}

/// A server that wants a form with a title and a file, whatever stands between them.
fn uploads() -> Server {
    server(|asked| {
        let lines = asked.head.to_ascii_lowercase();
        let boundary = lines
            .split("content-type: multipart/form-data; boundary=")
            .nth(1);
        let boundary = boundary.and_then(|b| b.split("\r\n").next()).unwrap_or("?");
        let wanted = [
            "content-disposition: form-data; name=\"title\"\r\n\r\na;b\r\n",
            "content-disposition: form-data; name=\"pass\"\r\n\r\nhunter2-word\r\n",
            "content-disposition: form-data; name=\"photo\"; filename=\"p.png\"\r\n\
             content-type: image/png\r\n\r\nPNG\r\n",
        ];
        let whole = wanted
            .map(|part| format!("--{boundary}\r\n{part}"))
            .concat();
        if asked.body == format!("{whole}--{boundary}--\r\n") {
            answer("201 Created", "", "")
        } else {
            answer("400 Bad Request", "", asked.body.as_bytes())
        }
    })
}

#[test]
fn a_form_with_files_is_sent_by_flags_and_by_the_profiles_of_them() {
    let service = uploads();
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("in")).unwrap();
    fs::write(dir.path().join("in/p.png"), "PNG").unwrap();
    let url = format!("{}/up", service.url);
    let fields = [
        "-F",
        "title=\"a;b\"",
        "-F",
        "pass=hunter2-word",
        "-F",
        "photo=@in/p.png",
    ];
    let flags = [&["--url", url.as_str()][..], &fields].concat();
    let tried = breakpoint(dir.path(), &[], &[&["try"][..], &flags].concat());
    assert_eq!(tried.status.code(), Some(0), "{}", all(&tried));
    assert!(!all(&tried).contains("hunter2"), "{}", all(&tried));
    let ramp = ["--slo", "p99<5s", "--stages", "2:1s", "--out", "out"];
    let ramped = breakpoint(dir.path(), &[], &[&["ramp"][..], &flags, &ramp].concat());
    assert_eq!(ramped.status.code(), Some(0), "{}", all(&ramped));
    for file in files(&dir.path().join("out")) {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains("hunter2"), "{}", file.display());
    }

    // The profile lies in another folder than the one that the file is named from.
    let line = "curl URL -F 'title=\"a;b\"' -F pass=hunter2-word -F photo=@in/p.png";
    let line = line.replace("URL", &url);
    for arguments in [&flags[..], &["--from-curl", &line][..]] {
        let to = tempfile::tempdir_in(dir.path()).unwrap();
        let made = to.path().strip_prefix(dir.path()).unwrap().join("m.toml");
        let made = made.to_str().unwrap();
        let init = [&["init", "--out", made], arguments].concat();
        let said = all(&breakpoint(dir.path(), &[], &init));
        let profile = fs::read_to_string(dir.path().join(made)).unwrap();
        assert!(profile.contains("file = \"../in/p.png\""), "{profile}");
        assert!(
            !(profile.clone() + &said).contains("hunter2"),
            "{profile}{said}"
        );
        let pass = [("PASS", "hunter2-word")];
        let tried = breakpoint(dir.path(), &pass, &["try", made]);
        assert_eq!(tried.status.code(), Some(0), "{profile}{}", all(&tried));
    }

    let missing = [
        "init",
        "--out",
        "n.toml",
        "--url",
        &url,
        "-F",
        "photo=@none.png",
    ];
    let said = all(&breakpoint(dir.path(), &[], &missing));
    assert!(said.contains("put beside the profile: none.png"), "{said}");
    let missing = ["try", "--url", &url, "-F", "photo=@none.png"];
    let tried = breakpoint(dir.path(), &[], &missing);
    assert_eq!(tried.status.code(), Some(2), "{}", all(&tried));
    assert!(all(&tried).contains("file `none.png`"), "{}", all(&tried));
    let refused = ["try", "--url", &url, "-F", "pass=hunter2-word;x"];
    let refused = all(&breakpoint(dir.path(), &[], &refused));
    assert!(refused.contains("double quotes"), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
}

#[test]
fn flags_of_curl_say_what_is_sent_and_to_nobody_what_is_secret() {
    let head = &[
        "POST /orders HTTP/1.1\r\n",
        "authorization: Basic bWU6aHVudGVyMi13b3Jk\r\n",
        "cookie: sid=5e55ion-of-me\r\n",
        "x-tenant: of-the-tests\r\n",
        "content-type: application/x-www-form-urlencoded\r\n",
    ];
    let service = only(head, "a=1&b=2&pin=s3cret-field");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("field"), "b=\n2").unwrap();
    let url = format!("{}/orders", service.url);
    let flags = [
        "--url",
        &url,
        "-kHx-tenant: of-the-tests",
        "-u",
        "me:hunter2-word",
        "--cookie",
        "sid=5e55ion-of-me",
        "-d",
        "a=1",
        "-d",
        "@field",
        "--data=pin=s3cret-field",
    ];
    let tried = breakpoint(dir.path(), &[], &[&["try"][..], &flags].concat());
    assert_eq!(tried.status.code(), Some(0), "{}", all(&tried));

    let search = [
        "--slo",
        "p99<5s",
        "--max-vus",
        "2",
        "--budget",
        "3s",
        "--out",
        "out",
        "--no-reference-holds",
    ];
    let found = breakpoint(dir.path(), &[], &[&["find"][..], &flags, &search].concat());
    let said = all(&found);
    assert!(said.contains("POST"), "{said}");
    let ramp = ["--slo", "p99<5s", "--stages", "2:1s", "--out", "out"];
    let ramped = breakpoint(dir.path(), &[], &[&["ramp"][..], &flags, &ramp].concat());
    assert_eq!(ramped.status.code(), Some(0), "{}", all(&ramped));
    let planned = breakpoint(
        dir.path(),
        &[],
        &[&["plan", "--slo", "p99<5s"][..], &flags].concat(),
    );
    assert_eq!(planned.status.code(), Some(0), "{}", all(&planned));
    let (profile, told) = init(dir.path(), &flags);

    let mut texts = vec![said, all(&ramped), all(&planned), profile, told];
    let mut run = PathBuf::new();
    for file in files(&dir.path().join("out")) {
        if file.ends_with("journal.jsonl") {
            run = file.parent().unwrap().to_owned();
        }
        texts.push(String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned());
    }
    assert!(texts.len() > 12, "{}", texts.len());
    for text in &texts {
        for secret in [
            "hunter2-word",
            "5e55ion-of-me",
            "s3cret-field",
            "bWU6aHVudGVyMi13b3Jk",
        ] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    // What was not recorded must be given again, all of it at once.
    let run = run.display().to_string();
    let again = breakpoint(dir.path(), &[], &["resume", &run, "--budget", "5s"]);
    let why = all(&again);
    assert_eq!(again.status.code(), Some(2), "{why}");
    assert!(
        why.contains("--header 'x-tenant: ...' --user NAME:PASSWORD --cookie ... --data ..."),
        "{why}"
    );
    let given = [
        "-H",
        "x-tenant: of-the-tests",
        "-u",
        "me:hunter2-word",
        "-b",
        "sid=5e55ion-of-me",
        "-d",
        "a=1&b=2",
        "-d",
        "pin=s3cret-field",
    ];
    let resumed = breakpoint(
        dir.path(),
        &[],
        &[&["resume", &run, "--budget", "6s"][..], &given].concat(),
    );
    let why = all(&resumed);
    assert!(
        !why.contains("error:") && !why.contains("hunter2-word"),
        "{why}"
    );
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let all = entries.flat_map(|path| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    });
    all.collect()
}

#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let url = ["--url", "http://127.0.0.1:9/", "--slo", "p99<1s"];
    fs::write(
        dir.path().join("own.toml"),
        "slo = ['p99<1s']\n[target]\nurl = 'http://127.0.0.1:9'\n[[scenario.steps]]\nname = \
        'a'\nget = '/'\n",
    )
    .unwrap();
    let line = |text: &'static str| vec!["init", "--from-curl", text];
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (
            vec!["find", "own.toml", "-H", "a: b"],
            "--header: what is sent is in the profile's [scenario]",
        ),
        (
            vec!["find", "--slo", "p99<1s", "-X", "PUT"],
            "--request: it says what is sent to an address; add --url",
        ),
        (
            [&["find"][..], &url, &["-F", "a=<b"]].concat(),
            "-F: `a`: the content of a file is not read as a text",
        ),
        (
            [&["find"][..], &url, &["-F", "a=b", "-d", "c"]].concat(),
            "-F: the body is given by --data already",
        ),
        (
            [&["find"][..], &url, &["-d", "a", "--json", "{}"]].concat(),
            "--json: the body is given by --data already",
        ),
        (
            [&["find"][..], &url, &["-u", "me"]].concat(),
            "--user: a password is not asked for",
        ),
        (
            [&["find"][..], &url, &["-b", "jar.txt"]].concat(),
            "--cookie: a file of cookies is not read",
        ),
        (
            [&["find"][..], &url, &["-d", "@none"]].concat(),
            "--data @none: cannot read the file",
        ),
        (
            [&["find"][..], &url, &["-H", "nothing"]].concat(),
            "--header: a header is written as 'NAME: VALUE'",
        ),
        (
            line("curl https://shop.example/ -u a:hunter2"),
            "shop.example); add `--url",
        ),
        (line("curl 'http://127.0.0.1/"), "a quote is not closed"),
        (
            line("curl -F 'a=<b' http://127.0.0.1/"),
            "-F `a`: the content of a file is not read as a text",
        ),
        (line("wget http://127.0.0.1/"), "does not begin with `curl`"),
        (
            vec!["init", "--from-har", "own.toml"],
            "it is not a HAR file",
        ),
        (
            vec![
                "init",
                "--from-openapi",
                "own.toml",
                "--url",
                "http://127.0.0.1:1",
            ],
            "--from-openapi own.toml: it",
        ),
        (
            vec!["init", "--from-postman", "own.toml"],
            "it is not a Postman collection",
        ),
        (
            vec!["init", "--from-postman", "none.json"],
            "cannot read the file",
        ),
    ];
    for (args, part) in cases {
        let output = breakpoint(dir.path(), &[], &args);
        let said = all(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?} {said}");
        assert!(said.contains(part), "{args:?}: no `{part}`: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    assert!(!dir.path().join("breakpoint.toml").exists());
}
