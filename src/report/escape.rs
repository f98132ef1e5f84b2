//! Text of others (log lines, names, reasons) as harmless parts of a page, a table or a workflow's
//! log.

use crate::excerpt::{self, is_hidden};

/// Text without characters that no reader sees, or that turn the order of what he sees: a log line
/// must not pass for something else.
pub(super) fn visible(text: &str) -> String {
    let seen = |c| if is_hidden(c) { '\u{fffd}' } else { c };
    text.chars().map(seen).collect()
}

/// Text for HTML, SVG and XML, within elements and attributes.
pub(super) fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if is_hidden(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    // A page that is printed lands in logs too.
    excerpt::without_commands(&out, "&#58;", "&#35;")
}

/// Text on one line.
pub(super) fn one_line(text: &str) -> String {
    visible(text).replace(['\n', '\t'], " ")
}

/// Words on one line of Markdown that mean nothing but themselves.
pub(super) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let line = one_line(text);
    for c in line.trim().chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            // A mention would reach somebody.
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    // What would begin a quotation or a list.
    match out.chars().next() {
        Some('>' | '-' | '+' | '=') => format!("\\{out}"),
        _ => out,
    }
}

/// Words as code within a line of Markdown, not within a table: there `|` would end a cell.
pub(super) fn code(text: &str) -> String {
    let line = one_line(text);
    let fence = "`".repeat(longest_run(&line, '`') + 1);
    let pad = if line.starts_with('`') || line.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{line}{pad}{fence}")
}

/// Lines as a block of code.
pub(super) fn code_block(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|l| one_line(l)).collect();
    let text = lines.join("\n");
    let fence = "`".repeat(longest_run(&text, '`').max(2) + 1);
    format!("{fence}text\n{text}\n{fence}\n")
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0)
}

/// A cell of a table that a spreadsheet takes for text: what begins like a formula gets an
/// apostrophe.
pub(super) fn cell(text: &str) -> String {
    let line = one_line(text);
    match line.trim_start().chars().next() {
        // Spreadsheets take the wide forms of East Asian keyboards for the same.
        Some('=' | '+' | '-' | '@' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}') => {
            format!("'{line}")
        }
        _ => line,
    }
}

/// The same for one that may be a number: those stay plain, also below zero.
pub(super) fn cell_or_number(text: &str) -> String {
    if text.parse::<f64>().is_ok() {
        text.to_owned()
    } else {
        cell(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_of_others_is_text() {
        assert_eq!(
            markup("<img src=x onerror='a()'>&\"\u{1b}\0\u{202e}"),
            "&lt;img src=x onerror=&#39;a()&#39;&gt;&amp;&quot;\u{fffd}\u{fffd}\u{fffd}"
        );
        assert_eq!(one_line("a\r\nb\tc"), "a\u{fffd} b c");
    }

    #[test]
    fn markdown_of_others_is_text() {
        assert_eq!(
            markdown("*a* _b_ [c](d) <e> `f` g|h\n# @i"),
            "\\*a\\* \\_b\\_ \\[c\\](d) &lt;e> \\`f\\` g\\|h \\# &#64;i"
        );
        assert_eq!(markdown("- no list"), "\\- no list");
        assert_eq!(code("p99<2s"), "`p99<2s`");
        assert_eq!(code("`a`|b"), "`` `a`|b ``");
        let block = code_block(&["```".to_owned(), "</pre>\nx".to_owned()]);
        assert_eq!(block, "````text\n```\n</pre> x\n````\n");
    }

    #[test]
    fn a_cell_is_no_formula() {
        assert_eq!(
            cell("=HYPERLINK(\"http://x\")"),
            "'=HYPERLINK(\"http://x\")"
        );
        for text in ["+1", "-1", "@a", " =1", "\t=1", "\u{ff1d}1"] {
            assert!(cell(text).starts_with('\''), "{text}");
        }
        assert_eq!(cell("held"), "held");
        assert_eq!(cell_or_number("-1.5"), "-1.5");
        assert_eq!(cell_or_number("-1.5+cmd"), "'-1.5+cmd");
    }
}
