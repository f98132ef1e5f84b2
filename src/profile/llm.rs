//! The commented profile of `breakpoint init --llm`: chat completions as `OpenAI`'s API has them,
//! answered as a stream.

use super::template::split;

/// Where chat completions are asked for, where an address has no path.
const PATH: &str = "/v1/chat/completions";

/// What is known of a service.
#[derive(Debug, Clone, Copy)]
pub struct Llm<'a> {
    /// Its address, with or without the path of the API.
    pub url: &'a str,
    /// The model's name.
    pub model: &'a str,
    /// Whether a key is sent, from the environment variable `OPENAI_API_KEY`.
    pub has_key: bool,
}

/// The profile.
pub fn render(llm: Llm<'_>) -> String {
    let (base, path) = split(llm.url);
    let path = match path.trim_end_matches('/') {
        "" => PATH.to_owned(),
        path if path.ends_with("/v1") => format!("{path}/chat/completions"),
        path => path.to_owned(),
    };
    let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
    TEMPLATE
        .replace("@URL@", &text(base))
        .replace("@PATH@", &text(&path))
        .replace("@MODEL@", &text(llm.model))
        .replace("@KEY@", if llm.has_key { "" } else { "# " })
}

const TEMPLATE: &str = r#"# How many users chat with an LLM at once until the first word comes late or the text stalls.
# See one answer:   breakpoint try FILE
# Run it:           breakpoint find FILE
# Each cycle is an answer that the model really makes. Where tokens cost money, so does a run.

# `answer` is the time until the whole answer is there, and its parts have rows of their own:
# answer.first      until the first event with text
# answer.gap        from event to event: p99 and max are the stalls that a reader sees
# answer.per-event  their mean in each answer; one divided by it is the events per second of an answer
# good(..)          the share of cycles that meet all of its limits at once; a failed cycle does not
slo = [
    "p99(answer.first)<2s",
    "p99(answer.gap)<250ms",
    "good(answer.first<2s, answer.gap<1s)>95%",
    "errors<1%",
]

[target]
url = @URL@

[scenario]
main = "answer"
timeout = "2m"                  # of a whole answer
@KEY@headers = { authorization = "Bearer {{ env.OPENAI_API_KEY }}" }

[[scenario.steps]]
name = "answer"
post = @PATH@
# `max_tokens` keeps answers alike long; the random text keeps them from coming out of a cache.
[scenario.steps.json]
model = @MODEL@
stream = true
max_tokens = 128
messages = [{ role = "user", content = "Why is the sky blue? Explain it to a child. ({{ uuid() }})" }]

[scenario.steps.stream]
until = "[DONE]"                        # the event that ends an answer
first = "/choices/0/delta/content"      # the first event that counts: the one before has a role and no text
fail = { match = { "/error" = "present" } }

# What a reader does before the next question.
[[scenario.steps]]
think = { exponential = "10s" }

[search]
start-vus = 4
max-vus = 1000
budget = "20m"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_and_without_the_path_of_the_api_is_one_of_completions() {
        for (url, path) in [
            ("http://127.0.0.1:8000", "/v1/chat/completions"),
            ("http://127.0.0.1:8000/", "/v1/chat/completions"),
            ("http://127.0.0.1:8000/v1", "/v1/chat/completions"),
            ("http://127.0.0.1:8000/api/v1/", "/api/v1/chat/completions"),
            ("http://127.0.0.1:8000/chat", "/chat"),
        ] {
            let llm = Llm {
                url,
                model: "a\"b",
                has_key: false,
            };
            let text = render(llm);
            assert!(
                text.contains(&format!("post = \"{path}\"")),
                "{url}: {text}"
            );
            assert!(!text.contains('@'), "{text}");
            let toml: toml::Table = text.parse().unwrap();
            assert!(!toml["scenario"].as_table().unwrap().contains_key("headers"));
            let with_key = render(Llm {
                has_key: true,
                ..llm
            });
            assert!(
                with_key.contains("\nheaders = { authorization"),
                "{with_key}"
            );
        }
    }
}
