//! The size of a system: a label with a number.

/// What a size counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeUnit {
    /// Whole units: instances.
    Units,
    /// A number that need not be whole: cores.
    Cores,
    /// Bytes of memory.
    Bytes,
}

/// A size as it was typed: `4`, `0.5`, `512m`.
#[derive(Debug, Clone, PartialEq)]
pub struct Size {
    /// As it was typed.
    pub label: String,
    /// Its number: units, cores or bytes.
    pub number: f64,
    /// What it counts.
    pub unit: SizeUnit,
}

impl Size {
    /// Reads a size.
    ///
    /// # Errors
    /// When it is no number above zero, with or without a suffix of bytes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let label = text.trim().to_owned();
        let wrong = || {
            format!("`{label}` is not a size; use a number (1, 2.5) or bytes (256m, 512MiB, 1g)")
        };
        // It goes into commands as it is.
        if !label.chars().all(|c| c.is_ascii_alphanumeric() || c == '.') {
            return Err(wrong());
        }
        if let Ok(number) = label.parse::<f64>() {
            let sensible = number.is_finite() && number > 0.0 && number < 1e9;
            let whole = number.fract() == 0.0 && !label.contains('.');
            let unit = [SizeUnit::Cores, SizeUnit::Units][usize::from(whole)];
            let why = wrong();
            let size = Self {
                label,
                number,
                unit,
            };
            return Some(size).filter(|_| sensible).ok_or(why);
        }
        // `512m` is what Docker calls 512 MiB.
        let long = match label.chars().last() {
            Some(c) if "kKmMgGtT".contains(c) => {
                let number = &label[..label.len() - c.len_utf8()];
                format!("{number}{}iB", c.to_ascii_uppercase())
            }
            _ => label.clone(),
        };
        #[expect(clippy::cast_precision_loss, reason = "bytes of memory")]
        match super::parse_bytes(&long) {
            Ok(bytes) if bytes > 0 => Ok(Self {
                number: bytes as f64,
                label,
                unit: SizeUnit::Bytes,
            }),
            _ => Err(wrong()),
        }
    }

    /// What several sizes count: one fraction makes all of them fractions.
    ///
    /// # Errors
    /// When some are bytes and some are not.
    pub fn unit_of_all(sizes: &[Self]) -> Result<SizeUnit, String> {
        let is = |unit| move |s: &Self| s.unit == unit;
        if sizes.iter().all(is(SizeUnit::Bytes)) {
            return Ok(SizeUnit::Bytes);
        }
        if sizes.iter().any(is(SizeUnit::Bytes)) {
            return Err("some sizes are bytes and some are not; give all in one unit".to_owned());
        }
        let whole = sizes.iter().all(is(SizeUnit::Units));
        Ok([SizeUnit::Cores, SizeUnit::Units][usize::from(whole)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_label_with_a_number() {
        let is = |text: &str| Size::parse(text).map(|s| (s.number, s.unit));
        assert_eq!(is("4"), Ok((4.0, SizeUnit::Units)));
        assert_eq!(is("0.5"), Ok((0.5, SizeUnit::Cores)));
        assert_eq!(is("2.0"), Ok((2.0, SizeUnit::Cores)));
        let mib = f64::from(1 << 20);
        assert_eq!(is("256m"), Ok((256.0 * mib, SizeUnit::Bytes)));
        assert_eq!(is("512MiB"), Ok((512.0 * mib, SizeUnit::Bytes)));
        assert_eq!(is("1g"), Ok((1024.0 * mib, SizeUnit::Bytes)));
        assert_eq!(Size::parse(" 1g ").unwrap().label, "1g");
        for wrong in [
            "", "0", "-1", "x", "1;rm", "inf", "nan", "1 2", "0m", "m", "1e99",
        ] {
            assert!(Size::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_of_one_unit() {
        let of = |texts: &[&str]| {
            let sizes: Vec<Size> = texts.iter().map(|t| Size::parse(t).unwrap()).collect();
            Size::unit_of_all(&sizes)
        };
        assert_eq!(of(&["1", "2"]), Ok(SizeUnit::Units));
        assert_eq!(of(&["0.5", "1"]), Ok(SizeUnit::Cores));
        assert_eq!(of(&["256m", "1g"]), Ok(SizeUnit::Bytes));
        assert!(of(&["256m", "2"]).is_err());
    }
}
