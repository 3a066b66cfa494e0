//! What is known of a key beside its value.

use super::kind::Kind;

/// One key of the configuration.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its path in the file: `http.connections_max`.
    pub(crate) path: &'static str,
    /// What it means, with its unit: the lines of its doc comment.
    pub(crate) about: &'static [&'static str],
    /// What form its value has.
    pub(crate) kind: Kind,
    /// The value that holds when nobody says anything; empty for none.
    pub(crate) default: &'static str,
    /// What it may be.
    pub(crate) range: Range,
    /// The version in which it appeared.
    pub(crate) since: &'static str,
    /// Says what is wrong with a value.
    pub(crate) check: fn(&str) -> Result<(), String>,
}

/// What a value may be.
#[derive(Debug)]
pub(crate) enum Range {
    /// Whatever is of the form, in words.
    Any(&'static str),
    /// Between two bounds, both included.
    Between(&'static str, &'static str),
}

/// A table of the file.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its name; empty for the keys outside of any table.
    pub(crate) table: &'static str,
    /// Whether the table may be there several times, as `[[table]]`.
    pub(crate) repeats: bool,
    /// What it is about.
    pub(crate) about: &'static [&'static str],
    /// Its keys.
    pub(crate) keys: &'static [Key],
}

impl Key {
    /// The variable of the environment that sets it.
    pub(crate) fn variable(&self) -> String {
        format!("WEIR_{}", self.path.replace('.', "_").to_uppercase())
    }

    /// The flag that sets it, without its hyphens.
    pub(crate) fn flag(&self) -> String {
        self.path.replace(['.', '_'], "-")
    }

    /// The last part of its path.
    pub(crate) fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// What it means, in one paragraph.
    pub(crate) fn paragraph(&self) -> String {
        paragraph(self.about)
    }

    /// What it may be, in words.
    pub(crate) fn range(&self) -> String {
        match self.range {
            Range::Any(words) => words.to_owned(),
            Range::Between(min, max) => format!("{min} to {max}"),
        }
    }
}

/// The lines of a doc comment as one paragraph.
pub(crate) fn paragraph(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}
