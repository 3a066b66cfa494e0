//! Decimal numbers that are compared exactly.

use std::cmp::Ordering;

/// Digits that count; further ones are cut off.
const DIGITS: u32 = 38;
/// Largest exponent that is told from larger ones.
const EXPONENT_MAX: i64 = 1_000_000;

/// A decimal number of up to 38 digits: 64-bit ids are told apart, and `1`, `1.0` and `1e0` are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Decimal {
    negative: bool,
    /// Where the point stands, counted from before the first digit that is not zero.
    exponent: i64,
    /// The digits, the first of [`DIGITS`] being none of zero; 0 for zero.
    digits: u128,
}

impl Decimal {
    /// Reads sign, digits with or without a point, and exponent; `None` for what is no such number.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let (number, exponent) = match rest.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, parse_exponent(exponent)?),
            None => (rest, 0),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + part.len() == 0 || !is_digits(whole) || !is_digits(part) {
            return None;
        }
        let leading = whole.bytes().chain(part.bytes()).take_while(|&digit| digit == b'0').count();
        let mut digits = 0_u128;
        let mut left = DIGITS;
        for digit in whole.bytes().chain(part.bytes()).skip(leading).take(DIGITS as usize) {
            digits = digits * 10 + u128::from(digit - b'0');
            left -= 1;
        }
        if digits == 0 {
            return Some(Self::default());
        }
        digits *= 10_u128.pow(left);
        let signed = |len: usize| i64::try_from(len).unwrap_or(EXPONENT_MAX);
        let exponent = (exponent + signed(whole.len()) - signed(leading)).clamp(-EXPONENT_MAX, EXPONENT_MAX);
        Some(Self { negative, exponent, digits })
    }

    /// A number of about this size which keeps the order: of two decimals the smaller one never has the larger key.
    pub(crate) fn key(self) -> u64 {
        // One sign bit, 16 bits of exponent, 47 bits of digits.
        const DIGIT_BITS: u32 = 47;
        const HALF: u64 = 1 << 63;
        if self.digits == 0 {
            return HALF;
        }
        let exponent = self.exponent.clamp(-32_767, 32_767) + 32_768;
        let digits = (self.digits >> (128 - DIGIT_BITS)) as u64;
        let magnitude = (exponent.unsigned_abs() << DIGIT_BITS) | digits;
        if self.negative { HALF - magnitude } else { HALF + magnitude }
    }
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse::<i64>().unwrap_or(EXPONENT_MAX).min(EXPONENT_MAX);
    Some(if text.starts_with('-') { -size } else { size })
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let magnitude = |of: &Self| (of.digits != 0, of.exponent, of.digits);
        let sign = |of: &Self| if of.digits == 0 { 0 } else { 1 - 2 * i8::from(of.negative) };
        sign(self).cmp(&sign(other)).then_with(|| {
            let by_size = magnitude(self).cmp(&magnitude(other));
            if self.negative { by_size.reverse() } else { by_size }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn forms_of_one_number_are_equal() {
        for (one, other) in [("1", "1.0"), ("1", "1e0"), ("100", "1E2"), ("0.5", ".5"), ("-0", "0"), ("007.50", "7.5")]
        {
            assert_eq!(number(one), number(other), "{one} {other}");
        }
        assert!(number("9007199254740993") > number("9007199254740992"));
        assert!(number("-2") < number("-1") && number("-1") < number("0") && number("0") < number("1e-9"));
        assert_eq!(number("0e999999999999999999999"), number("0"));
        assert!(number("1e99999999999999999999") > number("9e999"));
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "-", ".", "1.2.3", "1e", "e1", "1 ", "0x1", "inf", "NaN", "--1", "1e1.5", "é"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_numbers(one in -1e15_f64..1e15, other in -1e15_f64..1e15) {
            let decimals = (number(&one.to_string()), number(&other.to_string()));
            prop_assert_eq!(decimals.0.cmp(&decimals.1), one.total_cmp(&other));
            prop_assert!(one > other || decimals.0.key() <= decimals.1.key());
        }

        #[test]
        fn whole_numbers_are_exact(one: i64, other: i64) {
            prop_assert_eq!(number(&one.to_string()).cmp(&number(&other.to_string())), one.cmp(&other));
        }

        #[test]
        fn anything_is_read_or_refused(text: String) {
            let _ = Decimal::parse(&text);
        }
    }
}
