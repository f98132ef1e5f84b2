//! The words of a command line: as a POSIX shell reads it, or the command prompt of Windows.

use serde_json::Value;

use super::super::call::{Body, Call, PartContent};

/// Stand around the name of a variable of the shell until the request is whole; no text of a
/// request has them.
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';
/// Most words of a line.
const MOST_WORDS: usize = 10_000;

/// A variable of the environment in a word.
pub(super) fn variable(name: &str) -> String {
    format!("{OPEN}{name}{CLOSE}")
}

/// The words of each command of a line.
pub(super) fn of(line: &str) -> Result<Vec<Vec<String>>, String> {
    let line: String = line
        .chars()
        .filter(|c| ![OPEN, CLOSE, '\0'].contains(c))
        .collect();
    let commands = if is_windows(&line) {
        windows(&line)?
    } else {
        shell(&line)?
    };
    if commands.iter().map(Vec::len).sum::<usize>() > MOST_WORDS {
        return Err(format!("the line has more than {MOST_WORDS} words"));
    }
    Ok(commands)
}

/// What a browser copies for Windows has carets before quotes, or at the ends of lines.
fn is_windows(line: &str) -> bool {
    line.contains("^\"") || line.contains("^\n") || line.contains("^\r\n")
}

/// The commands so far.
#[derive(Default)]
struct Words {
    commands: Vec<Vec<String>>,
    /// The words of the present one.
    all: Vec<String>,
    /// A word that may be there already, empty but quoted.
    word: Option<String>,
    /// Whether the next word names where the output goes.
    redirects: bool,
    /// Whether the present command reads what the one before it says.
    piped: bool,
}

impl Words {
    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn push_str(&mut self, text: &str) {
        self.word.get_or_insert_default().push_str(text);
    }

    fn end(&mut self) {
        let word = self.word.take();
        if word.is_some() && self.redirects {
            self.redirects = false;
        } else {
            self.all.extend(word);
        }
    }

    fn end_command(&mut self, pipes: bool) {
        self.end();
        self.redirects = false;
        let command = std::mem::take(&mut self.all);
        if !command.is_empty() && !self.piped {
            self.commands.push(command);
        }
        self.piped = pipes;
    }

    /// The number before it says which output it is.
    fn redirect(&mut self) {
        let digits = |word: &mut String| word.bytes().all(|b| b.is_ascii_digit());
        self.word.take_if(digits);
        self.end();
        self.redirects = true;
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn shell(line: &str) -> Result<Vec<Vec<String>>, String> {
    let mut words = Words::default();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => single(&mut words, &mut chars)?,
            '"' => double(&mut words, &mut chars)?,
            '\\' => match chars.next() {
                Some('\r') => drop(chars.next_if_eq(&'\n')),
                Some('\n') | None => {}
                Some(c) => words.push(c),
            },
            '$' if chars.next_if_eq(&'\'').is_some() => ansi(&mut words, &mut chars)?,
            '$' if chars.next_if_eq(&'"').is_some() => double(&mut words, &mut chars)?,
            '$' => dollar(&mut words, &mut chars)?,
            '`' => return Err(computed()),
            '\n' | ';' | '&' => words.end_command(false),
            '|' => words.end_command(true),
            '>' | '<' => {
                while chars.next_if(|c| "<>&".contains(*c)).is_some() {}
                words.redirect();
            }
            c if c.is_whitespace() => words.end(),
            c => words.push(c),
        }
    }
    words.end_command(false);
    Ok(words.commands)
}

fn unended() -> String {
    "a quote is not closed; copy the whole command".to_owned()
}

fn computed() -> String {
    "the shell would run another command for a part of it (`...` or $(...)); put in what that \
    prints, or $NAME for a variable"
        .to_owned()
}

fn single(words: &mut Words, chars: &mut Chars<'_>) -> Result<(), String> {
    words.push_str("");
    loop {
        match chars.next() {
            Some('\'') => return Ok(()),
            Some(c) => words.push(c),
            None => return Err(unended()),
        }
    }
}

fn double(words: &mut Words, chars: &mut Chars<'_>) -> Result<(), String> {
    words.push_str("");
    loop {
        match chars.next() {
            Some('"') => return Ok(()),
            Some('\\') => match chars.next() {
                Some('\n') => {}
                Some(c @ ('"' | '\\' | '$' | '`')) => words.push(c),
                Some(c) => {
                    words.push('\\');
                    words.push(c);
                }
                None => return Err(unended()),
            },
            Some('$') => dollar(words, chars)?,
            Some('`') => return Err(computed()),
            Some(c) => words.push(c),
            None => return Err(unended()),
        }
    }
}

/// A variable of the shell, which a profile takes from the environment.
fn dollar(words: &mut Words, chars: &mut Chars<'_>) -> Result<(), String> {
    if chars.peek() == Some(&'(') {
        return Err(computed());
    }
    let braced = chars.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
        name.push(c);
    }
    if braced && chars.next() != Some('}') {
        return Err(
            "a variable of the shell is more than its name (${NAME...}); put in its value"
                .to_owned(),
        );
    }
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        words.push('$');
        words.push_str(&name);
    } else {
        words.push_str(&variable(&name));
    }
    Ok(())
}

/// `$'...'`: backslashes say signs, as in C.
fn ansi(words: &mut Words, chars: &mut Chars<'_>) -> Result<(), String> {
    words.push_str("");
    // Bytes that are written as numbers may be parts of one sign.
    let mut bytes = Vec::new();
    loop {
        let c = chars.next().ok_or_else(unended)?;
        let c = match c {
            '\'' => {
                words.push_str(&String::from_utf8_lossy(&bytes));
                return Ok(());
            }
            '\\' => match chars.next().ok_or_else(unended)? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'a' => '\u{7}',
                'b' => '\u{8}',
                'e' | 'E' => '\u{1b}',
                'f' => '\u{c}',
                'v' => '\u{b}',
                'x' => {
                    bytes.push(u8::try_from(number(chars, 16, 2)).unwrap_or(b'?'));
                    continue;
                }
                digit @ '0'..='7' => {
                    let first = digit.to_digit(8).unwrap_or(0);
                    let more = octal(chars, first);
                    bytes.push(u8::try_from(more & 0xff).unwrap_or(b'?'));
                    continue;
                }
                'u' => char::from_u32(number(chars, 16, 4)).unwrap_or('\u{fffd}'),
                'U' => char::from_u32(number(chars, 16, 8)).unwrap_or('\u{fffd}'),
                other => other,
            },
            c => c,
        };
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

fn number(chars: &mut Chars<'_>, radix: u32, most: usize) -> u32 {
    let mut out = 0_u32;
    for _ in 0..most {
        let Some(digit) = chars.peek().and_then(|c| c.to_digit(radix)) else {
            break;
        };
        chars.next();
        out = out.wrapping_mul(radix).wrapping_add(digit);
    }
    out
}

fn octal(chars: &mut Chars<'_>, first: u32) -> u32 {
    let mut out = first;
    for _ in 0..2 {
        let Some(digit) = chars.peek().and_then(|c| c.to_digit(8)) else {
            break;
        };
        chars.next();
        out = out * 8 + digit;
    }
    out
}

/// As the command prompt reads it: a caret takes the next sign as it is, and programs read `\"` as
/// a quote.
fn windows(line: &str) -> Result<Vec<Vec<String>>, String> {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '^' => match chars.next() {
                // A line break that was copied as a part of a body is written twice.
                Some('\r') => drop(chars.next_if_eq(&'\n')),
                Some('\n') | None => {}
                Some(c) => plain.push(c),
            },
            c => plain.push(c),
        }
    }
    let mut words = Words::default();
    let mut chars = plain.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => words.push('"'),
            '"' => {
                quoted = !quoted;
                words.push_str("");
            }
            '\\' if chars.next_if_eq(&'"').is_some() => words.push('"'),
            '\\' if quoted && chars.peek() == Some(&'\\') => {
                chars.next();
                words.push('\\');
            }
            '&' | '\n' if !quoted => words.end_command(false),
            '|' if !quoted => words.end_command(true),
            c if c.is_whitespace() && !quoted => words.end(),
            c => words.push(c),
        }
    }
    if quoted {
        return Err(unended());
    }
    words.end_command(false);
    Ok(words.commands)
}

/// Goes over a text with `push`, and leaves variables as they are.
pub(super) fn each(text: &str, out: &mut String, push: impl Fn(&mut String, &str)) {
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        let end = rest[at..]
            .find(CLOSE)
            .map_or(rest.len(), |end| at + end + CLOSE.len_utf8());
        push(out, &rest[..at]);
        out.push_str(&rest[at..end]);
        rest = &rest[end..];
    }
    push(out, rest);
}

/// Whether a variable stands in a text.
pub(super) fn has_variable(text: &str) -> bool {
    text.contains(OPEN)
}

/// Makes placeholders of the variables.
pub(super) fn fill(call: &mut Call) {
    let made = |text: &mut String| {
        if text.contains(OPEN) {
            // A brace before a placeholder would be read as part of it.
            let apart = text.replace(&format!("{{{OPEN}"), &format!("{{{{ \"{{\" }}}}{OPEN}"));
            *text = apart.replace(OPEN, "{{ env.").replace(CLOSE, " }}");
        }
    };
    made(&mut call.path);
    call.headers.iter_mut().for_each(|(_, value)| made(value));
    if let Some((user, password)) = &mut call.basic {
        made(user);
        made(password);
    }
    match &mut call.body {
        Body::Empty => {}
        Body::Text(text) => made(text),
        Body::Form(fields) => fields.iter_mut().for_each(|(_, value)| made(value)),
        Body::Json(value) => json(value, &made),
        Body::Multipart(parts) => {
            for part in parts {
                if let PartContent::Text(text) = &mut part.content {
                    made(text);
                }
            }
        }
    }
}

fn json(value: &mut Value, made: &impl Fn(&mut String)) {
    match value {
        Value::String(text) => made(text),
        Value::Array(items) => items.iter_mut().for_each(|item| json(item, made)),
        Value::Object(fields) => fields.values_mut().for_each(|item| json(item, made)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
