use proptest::prelude::*;

use super::*;

/// The document of gjson's syntax guide.
const DOCUMENT: &str = r##"{
  "name": {"first": "Tom", "last": "Anderson"},
  "age": 37,
  "children": ["Sara", "Alex", "Jack"],
  "fav.movie": "Deer Hunter",
  "friends": [
    {"first": "Dale", "last": "Murphy", "age": 44, "nets": ["ig", "fb", "tw"]},
    {"first": "Roger", "last": "Craig", "age": 68, "nets": ["fb", "tw"]},
    {"first": "Jane", "last": "Murphy", "age": 47, "nets": ["ig", "tw"]}
  ],
  "vals": [
    {"a": 1, "b": true}, {"a": 2, "b": true}, {"a": 3, "b": false}, {"a": 4, "b": "0"},
    {"a": 5, "b": 0}, {"a": 6, "b": "1"}, {"a": 7, "b": 1}, {"a": 8, "b": "true"},
    {"a": 9, "b": null}, {"a": 10}, {"a": 11, "b": "false"}
  ],
  "nested": [1, [2], [3, [4, [5]]]],
  "objects": [{"first": "Tom"}, {"age": 41}, {"first": "Al", "x": null}],
  "columns": {"id": [1, 2, 3], "val": ["a", "b"], "no": 1},
  "text": "{\"inner\":[1,2]}",
  "null": null, "yes": true, "no": false, "": "empty",
  "a*b": "star", "a?b": "mark", "users.0": "dotted", "@this": "at", "#": "sharp",
  "z": 1, "y": 2,
  "quoted \"name\"": "q", "größe": {"ß": "ü"}
}"##;

/// A path and what it finds; an empty text is nothing.
const CASES: &[(&str, &str)] = &[
    // Basic.
    ("name.last", r#""Anderson""#),
    ("name.first", r#""Tom""#),
    ("age", "37"),
    ("children", r#"["Sara","Alex","Jack"]"#),
    ("children.0", r#""Sara""#),
    ("children.1", r#""Alex""#),
    ("children.3", ""),
    ("children.-1", ""),
    ("children.x", ""),
    ("children.99999999999999999999999", ""),
    (
        "friends.1",
        r#"{"first":"Roger","last":"Craig","age":68,"nets":["fb","tw"]}"#,
    ),
    ("friends.1.first", r#""Roger""#),
    ("friends.1.nets.0", r#""fb""#),
    ("null", "null"),
    ("yes", "true"),
    ("no", "false"),
    ("", r#""empty""#),
    ("missing", ""),
    ("name.missing", ""),
    ("age.first", ""),
    ("größe.ß", r#""ü""#),
    // Wildcards.
    ("child*.2", r#""Jack""#),
    ("c?ildren.0", r#""Sara""#),
    ("*.first", r#""Tom""#),
    ("n??e.last", r#""Anderson""#),
    ("?ge", "37"),
    ("gr*e.?", r#""ü""#),
    ("x*", ""),
    ("na*e*.*st", r#""Tom""#),
    // Escapes.
    (r"fav\.movie", r#""Deer Hunter""#),
    (r"a\*b", r#""star""#),
    (r"a\?b", r#""mark""#),
    (r"users\.0", r#""dotted""#),
    (r"\@this", r#""at""#),
    (r"fav\.m*", r#""Deer Hunter""#),
    // Arrays.
    ("friends.#", "3"),
    ("children.#", "3"),
    ("friends.#.age", "[44,68,47]"),
    ("friends.#.missing", "[]"),
    ("friends.#.nets.#", "[3,2,2]"),
    ("friends.#.nets.0", r#"["ig","fb","ig"]"#),
    ("#", r#""sharp""#),
    ("age.#", ""),
    ("missing.#", ""),
    ("missing.#.first", ""),
    // Queries.
    (r#"friends.#(last=="Murphy").first"#, r#""Dale""#),
    (r#"friends.#(last="Murphy").first"#, r#""Dale""#),
    (r#"friends.#(last=="Murphy")#.first"#, r#"["Dale","Jane"]"#),
    (r#"friends.#(last=="Craig").first"#, r#""Roger""#),
    (r#"friends.#(last=="None").first"#, ""),
    (r#"friends.#(last=="None")#.first"#, "[]"),
    (r#"friends.#(last=="None")#"#, "[]"),
    ("friends.#(age>45)#.last", r#"["Craig","Murphy"]"#),
    ("friends.#(age>=47)#.age", "[68,47]"),
    ("friends.#(age<47)#.age", "[44]"),
    ("friends.#(age<=47)#.age", "[44,47]"),
    ("friends.#(age!=47)#.age", "[44,68]"),
    ("friends.#(age == 47).first", r#""Jane""#),
    (r#"friends.#(first%"D*").last"#, r#""Murphy""#),
    (r#"friends.#(first!%"D*").last"#, r#""Craig""#),
    (r#"friends.#(first%"*a*")#.first"#, r#"["Dale","Jane"]"#),
    (r#"friends.#(first>"Jane")#.first"#, r#"["Roger"]"#),
    (r#"children.#(!%"*a*")"#, r#""Alex""#),
    (r#"children.#(%"*a*")#"#, r#"["Sara","Jack"]"#),
    (r#"children.#(>="Jack")#"#, r#"["Sara","Jack"]"#),
    (r#"friends.#(nets.#(=="fb"))#.first"#, r#"["Dale","Roger"]"#),
    (
        r#"friends.#(nets.#(=="fb")#|#>0)#.first"#,
        r#"["Dale","Roger"]"#,
    ),
    ("friends.#(nets.#>2).first", r#""Dale""#),
    ("friends.#[age>45].first", r#""Roger""#),
    ("objects.#(age)", r#"{"age":41}"#),
    ("objects.#(first)#.first", r#"["Tom","Al"]"#),
    ("objects.#(x==null).first", r#""Al""#),
    ("vals.#(b==true)#.a", "[1,2,8]"),
    ("vals.#(b==false)#.a", "[3,11]"),
    ("vals.#(b==~true)#.a", "[1,2,6,7,8]"),
    ("vals.#(b==~false)#.a", "[3,4,5,9,10,11]"),
    ("vals.#(b==~null)#.a", "[9,10]"),
    ("vals.#(b!=~null)#.a", "[1,2,3,4,5,6,7,8,11]"),
    ("vals.#(b==~*)#.a", "[1,2,3,4,5,6,7,8,9,11]"),
    ("vals.#(b!=~*)#.a", "[10]"),
    ("vals.#(b==~what)#.a", "[]"),
    ("friends.#(last==\"Mur", ""),
    ("friends.#(age=abc)#", "[]"),
    ("friends.#(age!=abc)#.age", "[44,68,47]"),
    ("nested.#(==1)", "1"),
    ("nested.#(#>1)", "[3,[4,[5]]]"),
    // Dot and pipe.
    ("friends.0.first", r#""Dale""#),
    ("friends|0.first", r#""Dale""#),
    ("friends.0|first", r#""Dale""#),
    ("friends|0|first", r#""Dale""#),
    ("friends|#", "3"),
    ("friends.#|x", ""),
    (r#"friends.#(last="Murphy")#.first|0"#, r#""Dale""#),
    (r#"friends.#(last="Murphy")#|first"#, ""),
    (r#"friends.#(last="Murphy")#.0"#, "[]"),
    (r#"friends.#(last="Murphy")#|0.last"#, r#""Murphy""#),
    (r#"friends.#(last="Murphy")#.#"#, "[]"),
    (r#"friends.#(last="Murphy")#|#"#, "2"),
    ("friends.#.first|1", r#""Roger""#),
    ("friends.#.nets.#|2", "2"),
    // Modifiers.
    ("children|@reverse", r#"["Jack","Alex","Sara"]"#),
    ("children.@reverse", r#"["Jack","Alex","Sara"]"#),
    ("children|@reverse|0", r#""Jack""#),
    ("children.@reverse.0", r#""Jack""#),
    ("name.@reverse", r#"{"last":"Anderson","first":"Tom"}"#),
    ("age|@reverse", "37"),
    ("@this.age", "37"),
    ("@valid|age", "37"),
    ("name.@ugly", r#"{"first":"Tom","last":"Anderson"}"#),
    ("name|@pretty", r#"{"first":"Tom","last":"Anderson"}"#),
    (
        r#"objects|@reverse|0|@pretty:{"sortKeys":true}"#,
        r#"{"first":"Al","x":null}"#,
    ),
    (
        r#"name|@reverse|@pretty:{"sortKeys":true}|first"#,
        r#""Tom""#,
    ),
    (
        r#"name|@reverse|@pretty:{"sortKeys":true}"#,
        r#"{"first":"Tom","last":"Anderson"}"#,
    ),
    ("nested|@flatten", "[1,2,3,[4,[5]]]"),
    (r#"nested|@flatten:{"deep":true}"#, "[1,2,3,4,5]"),
    (r#"nested.@flatten:{"deep":true}.4"#, "5"),
    ("age|@flatten", "37"),
    ("objects|@join", r#"{"first":"Al","age":41,"x":null}"#),
    (
        r#"objects|@join:{"preserve":true}"#,
        r#"{"first":"Tom","age":41,"first":"Al","x":null}"#,
    ),
    ("name|@keys", r#"["first","last"]"#),
    ("name.@keys.#", "2"),
    ("name|@values", r#"["Tom","Anderson"]"#),
    ("children|@keys", "[null,null,null]"),
    ("children|@values", r#"["Sara","Alex","Jack"]"#),
    ("age|@values", "[37]"),
    (
        "name.@tostr",
        r#""{\"first\":\"Tom\",\"last\":\"Anderson\"}""#,
    ),
    ("text.@fromstr.inner.1", "2"),
    ("name.@tostr.@fromstr.last", r#""Anderson""#),
    ("name.@fromstr", ""),
    ("name.first.@fromstr", ""),
    (
        "columns|@group",
        r#"[{"id":1,"val":"a"},{"id":2,"val":"b"},{"id":3}]"#,
    ),
    ("@dig:nets.#", "[3,2,2]"),
    ("friends.@dig:first", r#"["Dale","Roger","Jane"]"#),
    ("@unknown", ""),
    // Multipaths and literals.
    ("{name.first,age}", r#"{"first":"Tom","age":37}"#),
    ("[name.first,age]", r#"["Tom",37]"#),
    (
        r#"{name.first,age,"the_murphys":friends.#(last="Murphy")#.first}"#,
        r#"{"first":"Tom","age":37,"the_murphys":["Dale","Jane"]}"#,
    ),
    ("{n:name.first,missing}", r#"{"n":"Tom"}"#),
    ("[missing,age]", "[37]"),
    ("{age,x:[z,y]}.x.1", "2"),
    ("[z,y]|@reverse", "[2,1]"),
    ("[z,y].#", "2"),
    ("friends.#.{first,age}|1", r#"{"first":"Roger","age":68}"#),
    (
        r#"{name.first,age,"company":!"Happysoft","employed":!true}"#,
        r#"{"first":"Tom","age":37,"company":"Happysoft","employed":true}"#,
    ),
    (r#"[!{"a":[1]},!2]|0.a.0"#, "1"),
    ("!nonsense", ""),
    ("{friends.#}", r#"{"_":3}"#),
    ("{}", "{}"),
    ("[]", "[]"),
    ("{name.{first}}", r#"{"_":{"first":"Tom"}}"#),
    (r#"["a",age"#, ""),
    ("{age}x", ""),
];

#[test]
fn what_the_syntax_guide_lists_is_found() {
    for (path, wanted) in CASES {
        let found = select_text(DOCUMENT, path).expect("within bounds");
        assert_eq!(found.as_deref().unwrap_or(""), *wanted, "{path}");
    }
}

#[test]
fn a_value_of_serde_json_is_searched_as_well() {
    let json = serde_json::json!({"a": [{"b": 1}, {"b": 2}], "big": u64::MAX, "f": 1.5});
    assert_eq!(select(&json, "a.#.b"), Some(serde_json::json!([1, 2])));
    assert_eq!(select(&json, "big"), Some(serde_json::json!(u64::MAX)));
    assert_eq!(select(&json, "f"), Some(serde_json::json!(1.5)));
    assert_eq!(select(&json, "c"), None);
}

#[test]
fn a_document_that_is_an_array_is_searched_from_its_elements() {
    assert_eq!(select_text("[1,[2,3]]", "#"), Ok(Some("2".to_owned())));
    assert_eq!(select_text("[1,[2,3]]", "1.1"), Ok(Some("3".to_owned())));
    assert_eq!(
        select_text(r#"[{"a":1},{"a":2}]"#, "#.a"),
        Ok(Some("[1,2]".to_owned()))
    );
    assert_eq!(select_text("7", "a"), Ok(None));
}

#[test]
fn what_is_not_json_is_said() {
    let error = select_text("<html>", "a").expect_err("not JSON");
    assert!(
        error.to_string().starts_with("the body is not JSON: "),
        "{error}"
    );
}

#[test]
fn the_first_of_two_members_with_one_name_counts() {
    assert_eq!(
        select_text(r#"{"a":1,"a":2}"#, "a"),
        Ok(Some("1".to_owned()))
    );
}

#[test]
fn selectors_that_multiply_work_or_size_end() {
    let doubling = ["[@this,@this]"; 200].join("|");
    assert!(matches!(
        select_text(DOCUMENT, &doubling),
        Err(SelectError::TooMuch(_))
    ));
    let long = "a.".repeat(5_000);
    assert!(matches!(
        select_text(DOCUMENT, &long),
        Err(SelectError::TooMuch(_))
    ));
    let deep = "#.".repeat(1_000);
    let arrays = format!("{}{}", "[".repeat(100), "]".repeat(100));
    assert!(matches!(
        select_text(&arrays, &deep),
        Err(SelectError::TooMuch(_))
    ));
    let digging = "@dig:".repeat(40) + "a";
    let wide = format!("[{}]", vec!["[[[1]]]"; 2_000].join(","));
    assert!(matches!(
        select_text(&wide, &digging),
        Err(SelectError::TooMuch(_))
    ));
    // Stars are tried again one at a time, so this is no more than the two lengths.
    let stars = format!("{}b", "*a".repeat(1_000));
    let name = format!(r#"{{"{}":1}}"#, "a".repeat(200_000));
    assert_eq!(select_text(&name, &stars), Ok(None));
    let stars = format!("*{}b", "a".repeat(1_000));
    assert!(matches!(
        select_text(&name, &stars),
        Err(SelectError::TooMuch(_))
    ));
}

fn any_path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("friends"),
        Just("name"),
        Just("#"),
        Just("."),
        Just("|"),
        Just("#("),
        Just(")"),
        Just(")#"),
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just("=="),
        Just("\""),
        Just("\\"),
        Just("@reverse"),
        Just("@dig:"),
        Just("@flatten"),
        Just("@join"),
        Just("@group"),
        Just("@tostr"),
        Just("@fromstr"),
        Just("@keys"),
        Just("@this"),
        Just(","),
        Just(":"),
        Just("!"),
        Just("*"),
        Just("?"),
        Just("0"),
        Just("ü"),
        Just("~true"),
        Just("%"),
        Just("<"),
        Just("first"),
    ];
    prop_oneof![
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat()),
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_path_ends_without_a_panic_and_finds_json(path in any_path()) {
        if let Ok(Some(found)) = select_text(DOCUMENT, &path) {
            let read: Result<serde_json::Value, _> = serde_json::from_str(&found);
            prop_assert!(read.is_ok(), "{path} found {found}");
        }
    }

    #[test]
    fn a_name_is_found_by_its_escaped_self(name in "[a-z.*?|#@\\\\!]{1,12}") {
        let escaped: String = name.chars().flat_map(|c| ['\\', c]).collect();
        let document = serde_json::json!({"other": 0, &name: 7}).to_string();
        prop_assert_eq!(select_text(&document, &escaped), Ok(Some("7".to_owned())));
    }
}
