//! The forms of values, and how each is read from text.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::duration;
use super::key::Range;
use super::secret::Secret;
use super::size::Size;

/// What form a value has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A text that is not shown.
    Secret,
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Number,
    /// A duration with its unit.
    Duration,
    /// A size with its unit.
    Size,
    /// When a write is acknowledged.
    Durability,
    /// An IP address and a port.
    Address,
    /// A file or folder.
    Path,
    /// An `http` or `https` URL.
    Url,
    /// One of some words.
    OneOf(&'static [&'static str]),
}

impl Kind {
    /// What stands for the value in a command's help.
    pub(crate) fn placeholder(self) -> &'static str {
        match self {
            Kind::Text | Kind::Secret => "TEXT",
            Kind::Switch => "BOOL",
            Kind::Number => "N",
            Kind::Duration => "DURATION",
            Kind::Size => "SIZE",
            Kind::Durability => "DURABILITY",
            Kind::Address => "ADDR:PORT",
            Kind::Path => "PATH",
            Kind::Url => "URL",
            Kind::OneOf(_) => "WORD",
        }
    }
}

/// A type that a key can have.
pub(crate) trait Setting: Sized {
    /// Its form.
    const KIND: Kind;

    /// Reads it, or says what is wrong as the end of a sentence that starts with the key.
    fn parse(text: &str) -> Result<Self, String>;

    /// Where it stands among others, if it has an order.
    fn rank(&self) -> Option<u128> {
        None
    }
}

/// Reads a value and holds it against its range.
pub(crate) fn read<T: Setting>(text: &str, range: &Range) -> Result<T, String> {
    let value = T::parse(text).map_err(|reason| found(&reason, text, T::KIND))?;
    if let Range::Between(min, max) = *range {
        let rank = |bound: &str| T::parse(bound).ok().and_then(|bound| bound.rank());
        let (low, high) = (rank(min), rank(max));
        if value.rank() < low || value.rank() > high {
            return Err(found(&format!("must be between {min} and {max}"), text, T::KIND));
        }
    }
    Ok(value)
}

fn found(reason: &str, text: &str, kind: Kind) -> String {
    if kind == Kind::Secret { reason.to_owned() } else { format!("{reason}, found {text:?}") }
}

impl Setting for String {
    const KIND: Kind = Kind::Text;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
    }
}

impl Setting for Secret {
    const KIND: Kind = Kind::Secret;

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}

impl Setting for PathBuf {
    const KIND: Kind = Kind::Path;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("must name a file or folder".to_owned()) } else { Ok(Self::from(text)) }
    }
}

impl Setting for bool {
    const KIND: Kind = Kind::Switch;

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err("must be true or false".to_owned()),
        }
    }
}

impl Setting for u64 {
    const KIND: Kind = Kind::Number;

    fn parse(text: &str) -> Result<Self, String> {
        text.replace('_', "").parse().map_err(|_| "must be a whole number".to_owned())
    }

    fn rank(&self) -> Option<u128> {
        Some(u128::from(*self))
    }
}

impl Setting for Duration {
    const KIND: Kind = Kind::Duration;

    fn parse(text: &str) -> Result<Self, String> {
        duration::parse(text)
    }

    fn rank(&self) -> Option<u128> {
        Some(self.as_millis())
    }
}

impl Setting for Size {
    const KIND: Kind = Kind::Size;

    fn parse(text: &str) -> Result<Self, String> {
        Size::parse(text)
    }

    fn rank(&self) -> Option<u128> {
        Some(u128::from(self.0))
    }
}

impl Setting for SocketAddr {
    const KIND: Kind = Kind::Address;

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "must be an IP address and a port such as 127.0.0.1:9324".to_owned())
    }
}

/// A key that need not be set: the empty text unsets it.
impl<T: Setting> Setting for Option<T> {
    const KIND: Kind = T::KIND;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::parse(text).map(Some) }
    }

    fn rank(&self) -> Option<u128> {
        self.as_ref().and_then(Setting::rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_outside_of_its_range_names_the_range_and_itself() {
        let range = Range::Between("16MiB", "1TiB");
        assert_eq!(read::<Size>("1GiB", &range), Ok(Size(1 << 30)));
        assert_eq!(read::<Size>("1MiB", &range), Err("must be between 16MiB and 1TiB, found \"1MiB\"".to_owned()));
    }

    #[test]
    fn a_secret_is_not_repeated_in_an_error() {
        assert_eq!(found("is too short", "hunter2", Kind::Secret), "is too short");
    }
}
