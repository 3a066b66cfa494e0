//! Sizes as people write them: `256MiB`.

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) u64);

const UNITS: [(&str, u64); 8] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

impl Size {
    /// Reads a size.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| "must be a size such as 256MiB".to_owned())?;
        let unit = unit.trim_start();
        if unit.is_empty() {
            return Err(format!("needs a unit: B, KiB, MiB, GiB or TiB, as in {number}MiB"));
        }
        let (_, bytes) = UNITS
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(unit))
            .ok_or_else(|| format!("has the unit {unit:?}, which is none of B, KiB, MiB, GiB, TiB, kB, MB, GB"))?;
        number.checked_mul(bytes).map(Self).ok_or_else(|| "is more than can be counted".to_owned())
    }

    /// The number of bytes, for what is held in memory.
    pub(crate) fn in_memory(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_with_a_unit() {
        for (text, bytes) in [("256MiB", 256 << 20), ("1 kB", 1_000), ("7B", 7), ("2gib", 2 << 30)] {
            assert_eq!(Size::parse(text), Ok(Size(bytes)), "{text}");
        }
    }

    #[test]
    fn a_size_without_unit_says_how_to_write_it() {
        assert_eq!(Size::parse("256"), Err("needs a unit: B, KiB, MiB, GiB or TiB, as in 256MiB".to_owned()));
        for text in ["", "MiB", "1.5GiB", "-1B", "4 apples", "99999999999TiB"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }
}
