//! What templates become.

use proptest::prelude::*;
use rand::SeedableRng;

use super::*;
use crate::scenario::VuRng;

fn render(template: &Template, values: &Values) -> String {
    let mut out = String::new();
    template.render(&[], values, &mut VuRng::seed_from_u64(1), &mut out);
    out
}

fn names() -> Names<'static> {
    Names {
        slots: vec![("id", 0), ("token", 1)],
        feeders: Vec::new(),
        cookies: None,
    }
}

fn values(id: &str) -> Values {
    Values {
        vu: 7,
        cycle: 3,
        slots: vec![Value::Text(id.to_owned()), Value::Text("t".to_owned())],
        ..Values::default()
    }
}

#[test]
fn values_are_filled_in() {
    let t = Template::parse("a{{vu}}-{{ cycle }}/{{ id }}", &names(), Escape::None).unwrap();
    assert_eq!(render(&t, &values("x y")), "a7-3/x y");
    assert_eq!(t.constant(), None);
    let t = Template::parse("plain", &names(), Escape::None).unwrap();
    assert_eq!(t.constant(), Some("plain"));
    let t = Template::parse("/q?u={{ id }}", &names(), Escape::Url).unwrap();
    assert_eq!(render(&t, &values("a&b=ü")), "/q?u=a%26b%3D%C3%BC");
}

#[test]
fn a_quoted_text_is_what_it_says_even_where_it_would_begin_a_placeholder() {
    let text = "a{{ \"{{\" }}x}} {{ id }}{{ \"{\" }}";
    let t = Template::parse(text, &names(), Escape::None).unwrap();
    assert_eq!(render(&t, &values("1")), "a{{x}} 1{");
    let body: toml::Value = toml::from_str("a = '{{ \"{{\" }}'\nb = '{{ \"x\" }}'").unwrap();
    let t = Template::parse_json(&body, &names()).unwrap();
    assert_eq!(render(&t, &values("1")), r#"{"a":"{{","b":"x"}"#);
}

#[test]
fn a_uuid_is_drawn_from_the_seed() {
    let t = Template::parse("{{ uuid() }}", &names(), Escape::None).unwrap();
    let first = render(&t, &values(""));
    assert_eq!(first, render(&t, &values("")));
    assert_eq!(first.len(), 36);
    assert_eq!(&first[14..15], "4", "version 4");
}

#[test]
fn wrong_templates_name_the_way_out() {
    for (text, part) in [
        ("{{ tokn }}", "did you mean `token`"),
        ("{{ vu ", "without"),
        ("{{ users.name }}", "unknown feeder `users`"),
    ] {
        let error = Template::parse(text, &names(), Escape::None).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn no_value_breaks_a_json_body(id in ".*") {
        let body: toml::Value = toml::from_str("a = ['{{ id }}', 1, 2.5, true]\n\"k\\\"{{ vu \
            }}\" = 'x\"{{ id }}'").unwrap();
        let t = Template::parse_json(&body, &names()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&render(&t, &values(&id))).unwrap();
        prop_assert_eq!(&json["a"], &serde_json::json!([&id, 1, 2.5, true]));
        prop_assert_eq!(&json["k\"7"], &serde_json::json!(format!("x\"{id}")));
    }

    #[test]
    fn no_text_makes_the_compiler_panic(text in ".*", more in "[{} a-z.()]*") {
        let _ = Template::parse(&text, &names(), Escape::None);
        let _ = Template::parse(&more, &names(), Escape::Json);
        let _ = crate::secret::fill(&more, &|_| None);
    }
}
