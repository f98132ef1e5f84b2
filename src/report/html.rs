//! `report.html`: one file that asks nothing of any network, in light and dark, on a screen and on
//! paper.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::chart::Palette;
use super::escape::{markup, one_line};
use super::page::{Cell, Chart, Fact, Mark, Page, Part, Section, Table, Text};

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");
/// Nothing from anywhere else: a browser refuses what might slip in.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    img-src data:; base-uri 'none'; form-action 'none'";
/// The page's own colours; those of charts are added.
const LIGHT: &str = "color-scheme:light;--ground:#fff;--panel:#f4f6f8;--ink:#1c2027;--soft:#565e69;--line:#d5dae0;--link:#0b5c8a;--chart:#fff;\
                     --good:#00684a;--bad:#a83200;--unsure:#7a5200;";
const DARK: &str = "color-scheme:dark;--ground:#14161a;--panel:#1b1e24;--ink:#e8eaed;--soft:#a9b0ba;--line:#363b43;--link:#7cc0ea;--chart:#1b1e24;\
                    --good:#5cc8a0;--bad:#ff9a6b;--unsure:#f0b648;";

pub(super) fn write(page: &Page) -> Vec<u8> {
    let mut out = String::with_capacity(1 << 18);
    head(&mut out, page);
    first_screen(&mut out, page);
    let mut charts = 0;
    for section in &page.sections {
        write_section(&mut out, section, &mut charts);
    }
    let _ = write!(
        out,
        "</main>\n<footer>{}</footer>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        markup(&page.foot)
    );
    out.into_bytes()
}

fn head(out: &mut String, page: &Page) {
    let palette = palette(page);
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>\n\
         :root{{{LIGHT}{}}}\n\
         @media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{DARK}{}}}}}\n\
         @media screen{{:root[data-theme=dark]{{{DARK}{}}}}}\n{}{STYLE}</style>\n</head>\n<body>\n",
        markup(&one_line(&page.title)),
        palette.light,
        palette.dark,
        palette.dark,
        palette.rules,
    );
}

fn palette(page: &Page) -> Palette {
    let parts = page.sections.iter().flat_map(|s| &s.parts);
    let charts = parts.filter_map(|part| match part {
        Part::Charts(charts) => Some(charts),
        _ => None,
    });
    let colours: BTreeSet<_> = charts.flatten().flat_map(|c| c.scene.colours()).collect();
    Palette::of(&colours)
}

fn first_screen(out: &mut String, page: &Page) {
    let number = &page.number;
    let _ = write!(
        out,
        "<header><p class=\"subject\">{}</p>\n\
         <button class=\"theme\" type=\"button\" hidden>Dark theme</button></header>\n<main>\n\
         <section class=\"answer\">\n<h1><span class=\"label\">{}</span>\n\
         <span class=\"number\">{}</span> <span class=\"unit\">{}</span>\n\
         <span class=\"note\">{}</span></h1>\n",
        markup(&page.subject),
        markup(&number.label),
        words(&number.value),
        markup(&number.unit),
        words(&number.note)
    );
    write_facts(out, &page.facts);
    out.push_str("</section>\n");
}

fn write_section(out: &mut String, section: &Section, charts: &mut usize) {
    let _ = writeln!(out, "<section>\n<h2>{}</h2>", markup(section.title));
    for part in &section.parts {
        match part {
            Part::Words(text) => {
                let _ = writeln!(out, "<p>{}</p>", words(text));
            }
            Part::Facts(facts) => write_facts(out, facts),
            Part::Table(table) => write_table(out, table),
            Part::Charts(all) => {
                for chart in all {
                    *charts += 1;
                    write_chart(out, chart, *charts);
                }
            }
            Part::Lines(lines) => {
                // A block that scrolls must be reachable by keyboard.
                let text: Vec<String> = lines.iter().map(|l| markup(&one_line(l))).collect();
                let _ = writeln!(out, "<pre tabindex=\"0\">{}</pre>", text.join("\n"));
            }
            Part::List(items) if items.is_empty() => {}
            Part::List(items) => {
                out.push_str("<ul>\n");
                for item in items {
                    let _ = writeln!(out, "<li>{}</li>", words(item));
                }
                out.push_str("</ul>\n");
            }
        }
    }
    out.push_str("</section>\n");
}

fn write_facts(out: &mut String, facts: &[Fact]) {
    out.push_str("<dl>\n");
    for fact in facts {
        let mark = fact.mark.map(|m| format!("{} ", badge(m, m.word())));
        let text = match &fact.text {
            Text::Plain(text) => words(text),
            Text::Code(texts) => {
                let code = texts.iter().map(|t| format!("<code>{}</code>", markup(t)));
                code.collect::<Vec<_>>().join(" ")
            }
        };
        let _ = writeln!(
            out,
            "<div><dt>{}</dt><dd>{}{text}</dd></div>",
            markup(fact.label),
            mark.unwrap_or_default()
        );
    }
    out.push_str("</dl>\n");
}

/// A shape, hidden from those who are read to, and the word.
fn badge(mark: Mark, word: &str) -> String {
    let class = match mark {
        // As in the charts.
        Mark::Held | Mark::NoEvidence => "held",
        Mark::Passed | Mark::Changed { better: true, .. } => "good",
        Mark::Broke | Mark::Failed | Mark::Changed { better: false, .. } => "bad",
        Mark::Undecided | Mark::Invalid | Mark::NotJudged | Mark::CannotSay => "unsure",
    };
    format!(
        "<span class=\"mark {class}\"><span aria-hidden=\"true\">{}</span> {}</span>",
        mark.shape(),
        markup(word)
    )
}

/// Text whose numbers do not break at the space between their thousands.
fn words(text: &str) -> String {
    let text = markup(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = &text[..];
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, digits) = rest.split_at(start);
        out.push_str(before);
        let length = grouped(digits);
        let (number, after) = digits.split_at(length);
        if number.contains(' ') {
            let _ = write!(out, "<span class=\"whole\">{number}</span>");
        } else {
            out.push_str(number);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Length of the number that a text begins with, groups of three digits after a space included.
fn grouped(text: &str) -> usize {
    let run = |from: usize| {
        let digits = text.as_bytes()[from..].iter();
        digits.take_while(|b| b.is_ascii_digit()).count()
    };
    let first = run(0);
    let mut end = first;
    while first <= 3 && text[end..].starts_with(' ') && run(end + 1) == 3 {
        end += 4;
    }
    end
}

fn write_table(out: &mut String, table: &Table) {
    // There is nothing to sort in one row.
    let sortable = if table.rows.len() > 1 {
        " class=\"sortable\""
    } else {
        ""
    };
    let _ = write!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"{0}\"><table{sortable}>\n<caption>{0}</caption>\n<thead><tr>",
        markup(&one_line(&table.caption))
    );
    for column in &table.head {
        let class = class(column.numeric);
        let _ = write!(
            out,
            "<th scope=\"col\"{class}>{}</th>",
            markup(&column.name)
        );
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (cell, column) in row.iter().zip(&table.head) {
            write_cell(out, cell, column.numeric);
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

fn write_cell(out: &mut String, cell: &Cell, numeric: bool) {
    let key = cell.key.filter(|k| k.is_finite());
    let key = key.map_or_else(String::new, |k| format!(" data-key=\"{k}\""));
    let text = match cell.mark {
        Some(mark) => badge(mark, &cell.text),
        None => words(&cell.text),
    };
    let class = if cell.name {
        " class=\"name\""
    } else {
        class(numeric)
    };
    let _ = write!(out, "<td{class}{key}>{text}</td>");
}

fn class(numeric: bool) -> &'static str {
    if numeric { " class=\"n\"" } else { "" }
}

fn write_chart(out: &mut String, chart: &Chart, n: usize) {
    let svg = chart
        .scene
        .to_svg(&format!("chart{n}"), chart.title, &chart.about);
    let _ = writeln!(
        out,
        "<figure><div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"{0}\">{svg}</div>\n<figcaption>{0}; as a picture in \
         <code>{1}</code></figcaption></figure>",
        markup(chart.title),
        markup(chart.file)
    );
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_number_does_not_break_at_its_thousands() {
        for (text, want) in [
            (
                "found 1 184 (1 003 – 12 345 678)",
                "found <span class=\"whole\">1 184</span> (<span class=\"whole\">1 003</span> – \
                 <span class=\"whole\">12 345 678</span>)",
            ),
            ("3 of 20, in 15 minutes", "3 of 20, in 15 minutes"),
            ("1184 200 and 1 1845", "1184 200 and 1 1845"),
            ("a < 1 000 é", "a &lt; <span class=\"whole\">1 000</span> é"),
            ("", ""),
        ] {
            assert_eq!(words(text), want);
        }
    }
}
