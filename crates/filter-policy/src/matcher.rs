//! One condition on a field.

use std::net::IpAddr;

use crate::decimal::Decimal;
use crate::event::{Field, Scalar, Value};
use crate::wildcard::Wildcard;

/// A condition. A field fulfils it by one of its values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Matcher {
    /// The field is there, with a value.
    Exists,
    /// It is not.
    Absent,
    /// A value that a pattern fits.
    Fits(Pattern),
    /// A value that none of the patterns fits.
    AnythingBut(Vec<Pattern>),
}

/// What a value can be like.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Pattern {
    Null,
    Bool(bool),
    Number(Decimal),
    Text(String),
    Prefix(String),
    Suffix(String),
    /// Without regard to case, as are the next two: kept in the form in which case makes no difference.
    Folded(String),
    FoldedPrefix(String),
    FoldedSuffix(String),
    Wildcard(Wildcard),
    Range(Range),
    Net(Net),
}

/// Numbers between two ends; an end that is not there is open without end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) low: Option<End>,
    pub(crate) high: Option<End>,
}

/// An end of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct End {
    pub(crate) number: Decimal,
    /// Whether the number itself is in the range.
    pub(crate) inclusive: bool,
}

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Net {
    /// The bits that are alike, as the first ones of 128.
    bits: u128,
    len: u8,
}

impl Matcher {
    /// Whether a field fulfils it; `None` is a field that is not there.
    pub(crate) fn matches(&self, field: Option<&Field<'_>>) -> bool {
        let values = field.map_or(&[][..], |field| &field.values);
        match self {
            Matcher::Exists => !values.is_empty(),
            Matcher::Absent => values.is_empty() && field.is_none_or(|field| field.objects.is_empty()),
            Matcher::Fits(pattern) => values.iter().any(|value| pattern.fits(value)),
            Matcher::AnythingBut(patterns) => {
                values.iter().any(|value| !patterns.iter().any(|pattern| pattern.fits(value)))
            }
        }
    }
}

impl Pattern {
    fn fits(&self, value: &Value<'_>) -> bool {
        match (self, &value.scalar) {
            (Pattern::Null, Scalar::Null) => true,
            (Pattern::Bool(pattern), Scalar::Bool(value)) => pattern == value,
            (Pattern::Number(pattern), Scalar::Number(value)) => pattern == value,
            (Pattern::Range(range), Scalar::Number(value)) => range.contains(*value),
            (Pattern::Text(pattern), Scalar::Text(value)) => pattern == value,
            (Pattern::Prefix(prefix), Scalar::Text(value)) => value.starts_with(prefix.as_str()),
            (Pattern::Suffix(suffix), Scalar::Text(value)) => value.ends_with(suffix.as_str()),
            (Pattern::Wildcard(wildcard), Scalar::Text(value)) => wildcard.matches(value),
            (Pattern::Net(net), Scalar::Text(value)) => address_bits(value).is_some_and(|bits| net.contains(bits)),
            (Pattern::Folded(pattern), Scalar::Text(_)) => value.folded() == Some(pattern),
            (Pattern::FoldedPrefix(prefix), Scalar::Text(_)) => {
                value.folded().is_some_and(|folded| folded.starts_with(prefix.as_str()))
            }
            (Pattern::FoldedSuffix(suffix), Scalar::Text(_)) => {
                value.folded().is_some_and(|folded| folded.ends_with(suffix.as_str()))
            }
            _ => false,
        }
    }
}

impl Range {
    fn contains(&self, number: Decimal) -> bool {
        let above = |end: End| number > end.number || end.inclusive && number == end.number;
        let below = |end: End| number < end.number || end.inclusive && number == end.number;
        self.low.is_none_or(above) && self.high.is_none_or(below)
    }
}

impl Net {
    /// Reads `ADDRESS/LENGTH`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, len) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let is_number = !len.is_empty() && len.bytes().all(|byte| byte.is_ascii_digit());
        let len = len.parse::<u8>().ok().filter(|&len| is_number && len <= width)?;
        Some(Self::new(bits_of(address), len + (128 - width)))
    }

    fn new(bits: u128, len: u8) -> Self {
        let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
        Self { bits: bits & mask, len }
    }

    /// The net of this length around an address.
    pub(crate) fn around(bits: u128, len: u8) -> Self {
        Self::new(bits, len)
    }

    /// How many bits are alike.
    pub(crate) fn len(self) -> u8 {
        self.len
    }

    fn contains(self, bits: u128) -> bool {
        Self::new(bits, self.len) == self
    }
}

/// The bits of an address; those of version 4 come in the range that version 6 keeps for them.
pub(crate) fn address_bits(text: &str) -> Option<u128> {
    // The longest form, that of version 6 with an address of version 4 in it, has 45 bytes.
    text.parse().ok().filter(|_| text.len() <= 45).map(bits_of)
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}
