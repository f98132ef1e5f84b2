//! Forms with files: fields as curl's `-F` writes them, and bodies that were recorded.

use std::fmt::Write as _;

use http::HeaderValue;

use super::Reading;
use super::call::{Body, Call, Part, PartContent, escaped};

/// The type of such a body.
pub(super) const FORM_DATA: &str = "multipart/form-data";
/// Most parts of a form that a profile has.
const MOST_PARTS: usize = 100;
/// Longest boundary (RFC 2046, section 5.1.1).
const MOST_BOUNDARY: usize = 70;
/// Types that curl tells by the end of a file's name.
const TYPES: [(&str, &str); 10] = [
    (".gif", "image/gif"),
    (".jpg", "image/jpeg"),
    (".jpeg", "image/jpeg"),
    (".png", "image/png"),
    (".svg", "image/svg+xml"),
    (".txt", "text/plain"),
    (".htm", "text/html"),
    (".html", "text/html"),
    (".pdf", "application/pdf"),
    (".xml", "application/xml"),
];

/// How the text of a part becomes a template.
pub(super) type AsTemplate = fn(&str) -> String;

/// A field as curl's `-F` has it: `NAME=TEXT`, `NAME=@FILE`, each with `;type=` and `;filename=`
/// behind it; a value in double quotes may have any sign.
pub(super) fn of_field(field: &str, as_template: AsTemplate) -> Result<Part, String> {
    let (name, value) = field.split_once('=').unwrap_or((field, ""));
    if name.is_empty() || name.len() == field.len() {
        return Err("a part is written as NAME=TEXT or NAME=@FILE".to_owned());
    }
    let wrong = |why: &str| Err(format!("`{name}`: {why}"));
    if value.starts_with('<') {
        return wrong("the content of a file is not read as a text; write NAME=@FILE, or the text");
    }
    if value.starts_with('(') {
        return wrong("parts within a part are not sent; a value that begins with ( needs quotes");
    }
    let (value, is_file) = match value.strip_prefix('@') {
        Some(path) => (path, true),
        None => (value, false),
    };
    let (content, mut rest) = word(value, is_file);
    if is_file && (content.is_empty() || content == "-") {
        return wrong("give the name of a file behind the @");
    }
    if rest.starts_with(',') {
        return wrong("one part has one file; repeat -F, or put the name in double quotes");
    }
    let mut part = Part {
        name: name.to_owned(),
        content: if is_file {
            PartContent::File(content)
        } else {
            PartContent::Text(as_template(&content))
        },
        ..Part::default()
    };
    while let Some(more) = rest.strip_prefix(';') {
        let more = more.trim_start();
        if let Some(given) = more.strip_prefix("type=") {
            let (media_type, behind) = word(given, false);
            part.media_type = Some(media_type.trim().to_owned());
            rest = behind;
        } else if let Some(given) = more.strip_prefix("filename=") {
            let (filename, behind) = word(given, false);
            part.filename = Some(filename);
            rest = behind;
        } else {
            let (parameter, behind) = word(more, false);
            // `type=text/plain; charset=utf-8`.
            match (&mut part.media_type, parameter.contains('=')) {
                (Some(media_type), true) => {
                    write!(media_type, "; {}", parameter.trim()).ok();
                }
                _ => return wrong("a value with `;` in it needs double quotes around it"),
            }
            rest = behind;
        }
    }
    if part.media_type.as_ref().is_some_and(|t| !is_type(t)) {
        return wrong("its type is not a media type; write it as image/png");
    }
    Ok(typed(part))
}

/// A text that may stand in double quotes, and what follows it.
fn word(text: &str, is_file: bool) -> (String, &str) {
    if let Some((quoted, behind)) = text.strip_prefix('"').and_then(unquoted) {
        return (quoted, behind);
    }
    let ends = |c: char| c == ';' || is_file && c == ',';
    let (word, behind) = text.split_at(text.find(ends).unwrap_or(text.len()));
    (word.to_owned(), behind)
}

/// What stands before the quote that ends it, and what follows that up to the next sign of meaning.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut signs = text.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => {
                let behind = text[at + 1..].trim_start();
                // Curl takes what is not ended by a sign of meaning as it stands.
                let ends = behind.is_empty() || behind.starts_with([';', ',']);
                return ends.then_some((out, behind));
            }
            '\\' => match signs.next()? {
                (_, sign @ ('"' | '\\')) => out.push(sign),
                (_, sign) => out.extend(['\\', sign]),
            },
            sign => out.push(sign),
        }
    }
    None
}

/// Whether a part can say that it is of this type.
pub(super) fn is_type(text: &str) -> bool {
    let (kind, rest) = text.split_once('/').unwrap_or(("", ""));
    !kind.is_empty() && !rest.is_empty() && HeaderValue::try_from(text).is_ok()
}

/// A file that says nothing of its type has the one that curl gives it.
fn typed(mut part: Part) -> Part {
    if let (PartContent::File(file), None) = (&part.content, &part.media_type) {
        let name = part.filename.as_ref().unwrap_or(file).to_ascii_lowercase();
        let known = TYPES.iter().find(|(end, _)| name.ends_with(end));
        part.media_type = known.map(|(_, media_type)| (*media_type).to_owned());
    }
    part
}

/// The parts of a recorded body; `None` where it cannot be read. Files whose content was recorded
/// as text keep it, others must lie beside the profile.
pub(super) fn of_body(content_type: &str, text: &str) -> Option<Vec<Part>> {
    let boundary = boundary(content_type)?;
    let delimiter = format!("--{boundary}");
    let text = text.strip_prefix(&delimiter)?;
    let mut parts = Vec::new();
    let mut is_whole = false;
    for piece in text.split(&format!("\n{delimiter}")) {
        if piece.starts_with("--") {
            is_whole = true;
            break;
        }
        let piece = piece.strip_prefix("\r\n").or(piece.strip_prefix('\n'))?;
        let piece = piece.strip_suffix('\r').unwrap_or(piece);
        parts.push(recorded(piece)?);
        if parts.len() > MOST_PARTS {
            return None;
        }
    }
    (is_whole && !parts.is_empty()).then_some(parts)
}

fn boundary(content_type: &str) -> Option<String> {
    let at = content_type.to_ascii_lowercase().find("boundary=")?;
    let given = &content_type[at + "boundary=".len()..];
    let (given, _) = word(given, false);
    let given = given.trim();
    (!given.is_empty() && given.len() <= MOST_BOUNDARY).then(|| given.to_owned())
}

/// One part with its head.
fn recorded(piece: &str) -> Option<Part> {
    let at = |end: &str| piece.find(end).map(|at| (at, at + end.len()));
    let (end, begin) = match (at("\r\n\r\n"), at("\n\n")) {
        (Some(one), Some(other)) => Some(if one.0 < other.0 { one } else { other }),
        (one, other) => one.or(other),
    }?;
    let (head, content) = (&piece[..end], &piece[begin..]);
    let mut part = Part::default();
    let mut is_named = false;
    for line in head.lines() {
        let (name, value) = line.split_once(':')?;
        match name.trim().to_ascii_lowercase().as_str() {
            "content-disposition" => {
                part.name = parameter(value, "name")?;
                part.filename = parameter(value, "filename");
                is_named = true;
            }
            "content-type" => part.media_type = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    part.media_type = part.media_type.filter(|t| is_type(t));
    let is_text = !content.is_empty() && !content.contains(['\u{fffd}', '\0']);
    part.content = match &part.filename {
        Some(filename) if !is_text => PartContent::File(base_name(filename)),
        _ => PartContent::Text(escaped(content)),
    };
    is_named.then(|| typed(part))
}

/// `; name="value"` of a header.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value;
    while let Some((_, behind)) = rest.split_once(';') {
        let behind = behind.trim_start();
        let (name, given) = behind.split_once('=')?;
        let (text, after) = word(given, false);
        if name.trim().eq_ignore_ascii_case(wanted) {
            // As browsers write what would end it.
            let text = text.replace("%22", "\"");
            return Some(text.replace("%0D", "\r").replace("%0A", "\n"));
        }
        rest = after;
    }
    None
}

/// The name of a file that others had somewhere: only that, for it must lie beside the profile.
pub(super) fn base_name(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    match name.trim() {
        "" | "." | ".." => "upload.bin".to_owned(),
        name => name.to_owned(),
    }
}

/// A part in place of a file that nobody knows: a few words under a name.
pub(super) fn example(name: &str, media_type: Option<&str>) -> Part {
    let media_type = media_type.filter(|t| is_type(t) && !t.contains('*'));
    Part {
        name: name.to_owned(),
        content: PartContent::Text("example".to_owned()),
        media_type: Some(media_type.unwrap_or("text/plain").to_owned()),
        filename: Some("example.txt".to_owned()),
    }
}

/// Gives a call its form; one that is too large for a profile is left out, and said.
pub(super) fn give(call: &mut Call, parts: Vec<Part>) {
    if parts.is_empty() {
        return;
    }
    if parts.len() > MOST_PARTS {
        call.gaps.push(format!(
            "Its form has more than {MOST_PARTS} parts and was left out."
        ));
        return;
    }
    let own = call.header("content-type").map(super::body::mime);
    if own.is_some_and(|own| own.starts_with("multipart/")) {
        call.take_header("content-type");
    }
    call.body = Body::Multipart(parts);
}

/// The files that the calls send, as the profile will name them: each once.
pub(super) fn files(calls: &[Call]) -> Vec<String> {
    let mut files: Vec<String> = Vec::new();
    for call in calls {
        let Body::Multipart(parts) = &call.body else {
            continue;
        };
        for part in parts {
            if let PartContent::File(file) = &part.content
                && !files.contains(file)
            {
                files.push(file.clone());
            }
        }
    }
    files
}

/// Puts before each name of a file what leads from the profile's folder to where it was typed.
pub(super) fn lead_to_files(reading: &mut Reading, way: &str) {
    for call in &mut reading.calls {
        let Body::Multipart(parts) = &mut call.body else {
            continue;
        };
        for part in parts {
            if let PartContent::File(file) = &mut part.content
                && !file.starts_with('/')
            {
                part.filename.get_or_insert_with(|| base_name(file));
                *file = format!("{way}{file}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(name: &str, text: &str) -> Part {
        Part {
            name: name.to_owned(),
            content: PartContent::Text(text.to_owned()),
            ..Part::default()
        }
    }

    fn file(name: &str, file: &str, media_type: Option<&str>, filename: Option<&str>) -> Part {
        Part {
            name: name.to_owned(),
            content: PartContent::File(file.to_owned()),
            media_type: media_type.map(str::to_owned),
            filename: filename.map(str::to_owned),
        }
    }

    #[test]
    fn fields_are_read_as_curl_reads_them() {
        let typed = |media_type: &str, part: Part| Part {
            media_type: Some(media_type.to_owned()),
            ..part
        };
        for (field, wanted) in [
            ("a=b", text("a", "b")),
            ("a=", text("a", "")),
            ("a=b=c", text("a", "b=c")),
            ("a=\"b;c\\\"d\"", text("a", "b;c\"d")),
            ("a=\"b\"c", text("a", "\"b\"c")),
            ("a=b;type=text/x", typed("text/x", text("a", "b"))),
            (
                "a=b;type=text/plain; charset=utf-8",
                typed("text/plain; charset=utf-8", text("a", "b")),
            ),
            ("a=@x.png", file("a", "x.png", Some("image/png"), None)),
            ("a=@x.bin", file("a", "x.bin", None, None)),
            (
                "a=@x.bin;type=a/b;filename=y.txt",
                file("a", "x.bin", Some("a/b"), Some("y.txt")),
            ),
            (
                "a=@x.bin;filename=\"y;z.TXT\"",
                file("a", "x.bin", Some("text/plain"), Some("y;z.TXT")),
            ),
            ("a=@\"x,y;z\"", file("a", "x,y;z", None, None)),
        ] {
            assert_eq!(of_field(field, str::to_owned), Ok(wanted), "{field}");
        }
    }

    #[test]
    fn fields_that_mean_something_else_are_refused_with_the_way_out() {
        for (field, part) in [
            ("a", "NAME=TEXT"),
            ("=b", "NAME=TEXT"),
            ("a=<x", "not read as a text"),
            ("a=@", "the name of a file"),
            ("a=@-", "the name of a file"),
            ("a=@x,y", "repeat -F"),
            ("a=b;c", "double quotes"),
            ("a=b;type=png", "image/png"),
            ("a=(;type=multipart/mixed", "parts within a part"),
        ] {
            let why = of_field(field, str::to_owned).unwrap_err();
            assert!(why.contains(part), "{field}: {why}");
        }
        let secret = of_field("password=hunter2;x", str::to_owned).unwrap_err();
        assert!(!secret.contains("hunter2"), "{secret}");
    }

    #[test]
    fn a_recorded_body_keeps_what_is_text() {
        let body = "--X\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\na\r\n{{b}}\r\n\
                    --X\r\ncontent-disposition: form-data; name=\"doc\"; filename=\"C:\\\\d\\\\n.txt\"\r\n\
                    Content-Type: text/plain\r\n\r\nhello\r\n\
                    --X\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"p.png\"\r\n\
                    Content-Type: image/png\r\n\r\n\u{fffd}PNG\r\n--X--\r\n";
        let parts = of_body("multipart/form-data; boundary=X", body).unwrap();
        assert_eq!(parts[0], text("title", "a\r\n{{ \"{{\" }}b}}"));
        assert_eq!(parts[1].content, PartContent::Text("hello".to_owned()));
        assert_eq!(
            parts[2],
            file("photo", "p.png", Some("image/png"), Some("p.png"))
        );
        assert_eq!(parts.len(), 3);
        for (kind, body) in [
            ("multipart/form-data", body),
            ("multipart/form-data; boundary=Y", body),
            ("multipart/form-data; boundary=X", "--X\r\nno head"),
            ("multipart/form-data; boundary=X", "--X--"),
        ] {
            assert_eq!(of_body(kind, body), None, "{kind} {body}");
        }
    }

    #[test]
    fn a_files_name_leads_nowhere_else() {
        for (path, wanted) in [
            ("/etc/passwd", "passwd"),
            ("..\\..\\x.txt", "x.txt"),
            ("..", "upload.bin"),
            ("a\n", "a"),
        ] {
            assert_eq!(base_name(path), wanted);
        }
    }

    proptest! {
        #[test]
        fn what_is_in_quotes_is_what_was_meant(value in "[^\u{0}]{0,40}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let part = of_field(&format!("a=\"{quoted}\""), str::to_owned).unwrap();
            prop_assert_eq!(part.content, PartContent::Text(value));
        }

        #[test]
        fn a_body_that_is_written_is_read_again(
            parts in proptest::collection::vec(("[a-z]{1,8}", "[ -~]{0,40}"), 1..6)
        ) {
            let mut body = String::new();
            for (name, value) in &parts {
                write!(body, "--B\r\nContent-Disposition: form-data; \
                    name=\"{name}\"\r\n\r\n{value}\r\n").ok();
            }
            body.push_str("--B--\r\n");
            let read = of_body("multipart/form-data; boundary=\"B\"", &body).unwrap();
            let wanted: Vec<Part> = parts.iter().map(|(n, v)| text(n, &escaped(v))).collect();
            prop_assert_eq!(read, wanted);
        }
    }
}
