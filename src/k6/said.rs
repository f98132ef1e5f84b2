//! What k6 says on its standard error, for people.

/// Lines that are kept of it, the last ones.
const MOST_LINES: usize = 12;
/// Longest line, in characters.
const MOST_LINE: usize = 300;

/// The last lines of what k6 said: of a line of its log the message alone, whose own lines are
/// lines.
pub fn said(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let messages: Vec<String> = text.lines().map(message).collect();
    let lines = messages.iter().flat_map(|message| message.lines());
    let lines = lines.map(plain).filter(|line| !line.trim().is_empty());
    let mut lines: Vec<String> = lines.collect();
    lines.drain(..lines.len().saturating_sub(MOST_LINES));
    lines
}

/// The message of `time="..." level=error msg="..." hint="..."`; another line as it is.
fn message(line: &str) -> String {
    let Some((_, rest)) = line.split_once(" msg=\"") else {
        return line.to_owned();
    };
    let mut out = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push(' '),
                Some(c) => out.push(c),
                None => break,
            },
            c => out.push(c),
        }
    }
    out
}

/// Without what a terminal would take for itself, and not too long.
fn plain(line: &str) -> String {
    let line = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(MOST_LINE)
        .collect::<String>()
        .trim_end()
        .to_owned()
}
