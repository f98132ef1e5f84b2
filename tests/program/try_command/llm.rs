//! Profiles for an LLM: the one that `init --llm` writes and the one of the document, tried on a
//! service that answers as `OpenAI`'s API does.

use super::*;

const DOCUMENT: &str = include_str!("../../../docs/llm.md");

/// Chat completions: a role, some text, why it ended, and what ends every such stream.
fn completions(asked: &Asked) -> Vec<u8> {
    let right = asked.head.starts_with("POST /v1/chat/completions ")
        && asked.body.contains("\"stream\":true");
    if !right {
        return answer("404 Not Found", "", "{\"error\": \"no such thing\"}");
    }
    let delta = |delta: &str| format!("data: {{\"choices\":[{{\"delta\":{delta}}}]}}\n\n");
    let key = asked.head.contains("authorization: Bearer s3cr3t-key");
    let body = [
        delta("{\"role\":\"assistant\",\"content\":\"\"}"),
        delta(if key {
            "{\"content\":\"known\"}"
        } else {
            "{\"content\":\"The\"}"
        }),
        delta("{\"content\":\" sky\"}"),
        delta("{}"),
        "data: [DONE]\n\n".to_owned(),
    ];
    answer(
        "200 OK",
        "content-type: text/event-stream\r\n",
        body.concat(),
    )
}

fn tried(folder: &Path, file: &str, key: Option<&str>) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
    command
        .args(["try", file, "--yes"])
        .current_dir(folder)
        .env("XDG_STATE_HOME", folder.join("state"))
        .env_remove("OPENAI_API_KEY")
        .stdin(Stdio::null());
    if let Some(key) = key {
        command.env("OPENAI_API_KEY", key);
    }
    let output = command.output().unwrap();
    let text = format!("{}{}", out(&output), said(&output));
    (output.status.code(), text)
}

#[test]
fn init_for_an_llm_writes_a_profile_whose_cycle_passes() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let server = server(completions);
    for (file, url, key) in [
        ("a.toml", server.url.clone(), None),
        ("b.toml", format!("{}/v1", server.url), Some("s3cr3t-key")),
    ] {
        let mut init = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
        init.args(["init", "--llm", &url, "--model", "m", "--out", file])
            .current_dir(at)
            .env_remove("OPENAI_API_KEY");
        if let Some(key) = key {
            init.env("OPENAI_API_KEY", key);
        }
        let made = init.output().unwrap();
        assert_eq!(made.status.code(), Some(0), "{}", said(&made));
        let written = fs::read_to_string(at.join(file)).unwrap();
        assert!(!written.contains("s3cr3t"), "{written}");
        let (code, text) = tried(at, file, key);
        assert_eq!(code, Some(0), "{text}");
        // The chunk with the role is not the first event, and [DONE] is none.
        assert!(text.contains("3 events"), "{text}");
        assert!(!text.contains("s3cr3t"), "{text}");
        assert_eq!(text.contains("known"), key.is_some(), "{text}");
    }
    let wrong = breakpoint(at, &["init", "--llm", "localhost:8000", "--out", "c.toml"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
    assert!(
        said(&wrong).contains("--llm localhost:8000: "),
        "{}",
        said(&wrong)
    );
}

#[test]
fn the_profile_of_the_document_passes_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(completions);
    let (_, after) = DOCUMENT.split_once("```toml\n").unwrap();
    let (profile, _) = after.split_once("```").unwrap();
    assert!(profile.contains("http://127.0.0.1:8000"));
    let text = profile.replace("http://127.0.0.1:8000", &server.url);
    fs::write(folder.path().join("p.toml"), text).unwrap();
    let (code, text) = tried(folder.path(), "p.toml", None);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("3 events"), "{text}");
    let plan = breakpoint(folder.path(), &["plan", "p.toml"]);
    assert!(
        out(&plan).contains("good(answer.first<2s,answer.gap<1s)>95%"),
        "{}",
        out(&plan)
    );
}

#[test]
fn engines_without_cycles_refuse_good_ones_in_plan() {
    let folder = tempfile::tempdir().unwrap();
    let text = "slo = [\"good(home<1s)>99%\"]\n[engine]\nkind = \"locust\"\nurl = \
        \"http://127.0.0.1:9\"\n";
    fs::write(folder.path().join("p.toml"), text).unwrap();
    let plan = breakpoint(folder.path(), &["plan", "p.toml"]);
    assert_eq!(plan.status.code(), Some(2), "{}", said(&plan));
    assert!(
        said(&plan).contains("requests and no cycles"),
        "{}",
        said(&plan)
    );
}
