//! `report.md`: the same report for where Markdown is read.

use std::fmt::Write as _;

use super::escape::{code, code_block, markdown};
use super::page::{Cell, Chart, Fact, Page, Part, Section, Table, Text};

/// Whether pictures that lie beside the report are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pictures {
    /// The report stands in the run's folder.
    Beside,
    /// It goes where they are not.
    None,
}

pub(super) fn write(page: &Page, pictures: Pictures) -> String {
    let mut out = format!(
        "# {}\n\n{}\n\n",
        markdown(&page.title),
        markdown(&page.subject)
    );
    let number = &page.number;
    let parts = [&number.value, &number.unit].map(|t| markdown(t));
    let _ = write!(
        out,
        "**{}: {}**",
        markdown(&number.label),
        parts.join(" ").trim()
    );
    if !number.note.is_empty() {
        let _ = write!(out, "   {}", markdown(&number.note));
    }
    out.push_str("\n\n");
    facts(&mut out, &page.facts);
    for section in &page.sections {
        self::section(&mut out, section, pictures);
    }
    let _ = writeln!(out, "\n{}", markdown(&page.foot));
    out
}

fn section(out: &mut String, section: &Section, pictures: Pictures) {
    let only_charts = (section.parts.iter()).all(|part| matches!(part, Part::Charts(_)));
    if only_charts && pictures == Pictures::None {
        return;
    }
    if !out.ends_with("\n\n") {
        out.push('\n');
    }
    let _ = write!(out, "## {}\n\n", markdown(section.title));
    for (i, part) in section.parts.iter().enumerate() {
        if i > 0 && !out.ends_with("\n\n") {
            out.push('\n');
        }
        match part {
            Part::Words(words) => {
                let _ = writeln!(out, "{}", markdown(words));
            }
            Part::Facts(all) => facts(out, all),
            Part::Table(all) => table(out, all),
            Part::Charts(all) if pictures == Pictures::Beside => charts(out, all),
            Part::Charts(_) => {}
            Part::Lines(lines) => out.push_str(&code_block(lines)),
            Part::List(items) => {
                for item in items {
                    let _ = writeln!(out, "- {}", markdown(item));
                }
            }
        }
    }
}

fn facts(out: &mut String, facts: &[Fact]) {
    for fact in facts {
        let mark = fact.mark.map(|m| format!("{} {}: ", m.shape(), m.word()));
        let text = match &fact.text {
            Text::Plain(text) => markdown(text),
            Text::Code(texts) => {
                let texts = texts.iter().map(|t| code(t));
                texts.collect::<Vec<_>>().join(" ")
            }
        };
        let mark = mark.unwrap_or_default();
        let _ = writeln!(out, "- **{}:** {mark}{text}", markdown(fact.label));
    }
}

fn table(out: &mut String, table: &Table) {
    let names = table.head.iter().map(|c| markdown(&c.name));
    row(out, names);
    let rules = table.head.iter().map(|c| {
        let rule = if c.numeric { "--:" } else { "---" };
        rule.to_owned()
    });
    row(out, rules);
    for cells in &table.rows {
        row(out, cells.iter().map(cell));
    }
}

fn cell(cell: &Cell) -> String {
    match cell.mark {
        Some(mark) => format!("{} {}", mark.shape(), markdown(&cell.text)),
        None => markdown(&cell.text),
    }
}

fn row(out: &mut String, cells: impl Iterator<Item = String>) {
    let cells: Vec<String> = cells.collect();
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

fn charts(out: &mut String, charts: &[Chart]) {
    for chart in charts {
        let _ = write!(out, "![{}]({})\n\n", markdown(&chart.about), chart.file);
    }
}
