//! The name of a Prometheus series: a metric and labels.

/// A metric and labels, as in `http_requests_total{code="500"}`. As a selector it stands for every
/// series of that metric that has these labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// The metric.
    pub name: String,
    labels: Vec<(String, String)>,
}

impl Series {
    /// Reads a selector.
    ///
    /// # Errors
    /// Says what a selector looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        match Self::read(text.trim()) {
            Some((series, "")) => Ok(series),
            _ => Err(format!(
                "`{text}` names no metric; write it as heap_bytes or requests_total{{code=\"500\"}}"
            )),
        }
    }

    /// Reads a series at the start of a line; also gives what follows it. `None` where there is
    /// none.
    pub fn read(line: &str) -> Option<(Self, &str)> {
        let (name, rest) = word(line)?;
        let mut series = Self {
            name: name.to_owned(),
            labels: Vec::new(),
        };
        let Some(mut rest) = rest.trim_start().strip_prefix('{') else {
            return Some((series, rest));
        };
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if let Some(after) = rest.strip_prefix('}') {
                return Some((series, after));
            }
            let (label, after) = word(rest)?;
            let after = after.trim_start().strip_prefix('=')?;
            let (value, after) = quoted(after.trim_start())?;
            series.labels.push((label.to_owned(), value));
            rest = after;
        }
    }

    /// Whether `series` is one of those that this one selects.
    pub fn selects(&self, series: &Self) -> bool {
        let has = |label| series.labels.contains(label);
        self.name == series.name && self.labels.iter().all(has)
    }
}

/// A name and what follows it.
fn word(text: &str) -> Option<(&str, &str)> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let end = text.find(|c| !fits(c)).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let first = word.chars().next()?;
    (!first.is_ascii_digit()).then_some((word, rest))
}

/// A text in double quotes, with `\\`, `\"` and `\n` as in the exposition format, and what follows
/// it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_read_with_its_labels() {
        let (series, rest) = Series::read(r#"a:b_total{x="1",y="a \"q\" \\ b\n", } 5 17"#).unwrap();
        assert_eq!(rest, " 5 17");
        assert_eq!(series.name, "a:b_total");
        assert_eq!(
            series.labels,
            [
                ("x".to_owned(), "1".to_owned()),
                ("y".to_owned(), "a \"q\" \\ b\n".to_owned())
            ]
        );
        let (plain, rest) = Series::read("up 1").unwrap();
        assert_eq!((plain.name.as_str(), rest), ("up", " 1"));
        for broken in [
            "",
            "# HELP x y",
            "1x 5",
            "x{",
            "x{a}",
            "x{a=1}",
            "x{a=\"1",
            "{\"x.y\"} 1",
        ] {
            assert_eq!(Series::read(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_selector_needs_its_labels_and_no_others() {
        let of = |text| Series::parse(text).unwrap();
        let series = of(r#"sheds{reason="rate",zone="a"}"#);
        assert!(of("sheds").selects(&series));
        assert!(of(r#"sheds{zone="a"}"#).selects(&series));
        assert!(!of(r#"sheds{zone="b"}"#).selects(&series));
        assert!(!of("shed").selects(&series));
        let why = Series::parse("rate(x[1m])").unwrap_err();
        assert!(why.contains("names no metric"), "{why}");
    }
}
