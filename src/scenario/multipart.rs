//! Forms with files (RFC 7578): what stands around the parts.

/// What boundaries begin with: nothing that people write.
const BOUNDARY: &str = "breakpoint-5e1c9a7f3b2d4680";

/// A line that stands in none of the contents. The same profile sends the same bytes.
pub(super) fn boundary<'a>(contents: &(impl Iterator<Item = &'a [u8]> + Clone)) -> String {
    let holds = |content: &[u8], marker: &str| {
        let marker = marker.as_bytes();
        content.windows(marker.len()).any(|part| part == marker)
    };
    let mut boundary = BOUNDARY.to_owned();
    while contents.clone().any(|content| holds(content, &boundary)) {
        // What is longer than every content stands in none.
        boundary.push('x');
    }
    boundary
}

/// What stands before the content of a part, behind that of the part before it.
pub(super) fn head(
    boundary: &str,
    is_first: bool,
    name: &str,
    file: Option<&str>,
    media_type: Option<&str>,
) -> String {
    let mut out = String::from(if is_first { "--" } else { "\r\n--" });
    out.push_str(boundary);
    out.push_str("\r\ncontent-disposition: form-data; name=\"");
    push_quoted(&mut out, name);
    if let Some(file) = file {
        out.push_str("\"; filename=\"");
        push_quoted(&mut out, file);
    }
    out.push('"');
    if let Some(media_type) = media_type {
        out.push_str("\r\ncontent-type: ");
        out.push_str(media_type);
    }
    out.push_str("\r\n\r\n");
    out
}

/// What ends the form.
pub(super) fn end(boundary: &str) -> String {
    format!("\r\n--{boundary}--\r\n")
}

/// A name between quotes, as browsers write it (WHATWG HTML, "multipart/form-data encoding
/// algorithm").
fn push_quoted(out: &mut String, name: &str) {
    for c in name.chars() {
        match c {
            '\r' => out.push_str("%0D"),
            '\n' => out.push_str("%0A"),
            '"' => out.push_str("%22"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_stands_in_no_content() {
        let plain = boundary(&[&b"a"[..]].into_iter());
        assert_eq!(plain, BOUNDARY);
        let hostile = format!("..{BOUNDARY}x..");
        let found = boundary(&[hostile.as_bytes(), b"b"].into_iter());
        assert!(!hostile.contains(&found) && found.starts_with(BOUNDARY));
    }

    #[test]
    fn names_cannot_break_out_of_their_quotes() {
        let head = head("B", true, "a\"\r\nb", Some("ü.txt"), Some("text/plain"));
        assert_eq!(
            head,
            "--B\r\ncontent-disposition: form-data; name=\"a%22%0D%0Ab\"; filename=\"ü.txt\"\r\n\
             content-type: text/plain\r\n\r\n"
        );
    }
}
