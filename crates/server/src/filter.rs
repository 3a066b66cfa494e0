//! Filters: which messages of a queue are meant.
//!
//! ```text
//! attributes.kind = "mail" and (receives > 3 or sent before 2026-01-01T00:00:00Z)
//! not body contains "test" and body.json.order.items.0.count >= 5
//! ```
//!
//! An expression compares what a message has with a literal:
//!
//! | left | comparisons | right |
//! | --- | --- | --- |
//! | `attributes.NAME` | `=` `!=` `<` `<=` `>` `>=` `contains` `exists` | text or number |
//! | `body` | `=` `!=` `contains` | text |
//! | `body.json.PATH` | as attributes | text, number, `true`, `false`, `null` |
//! | `group` | as attributes | text |
//! | `receives` | `=` `!=` `<` `<=` `>` `>=` | number |
//! | `sent` | `before` `after` | a moment (RFC 3339) or a day |
//!
//! `not` binds closest, then `and`, then `or`; parentheses group. A comparison with something that a message does not
//! have, or that is of another type, does not hold, whichever comparison it is. Names and segments of paths with other
//! characters than letters, digits, `_` and `-` stand in quotes: `body.json."unit price"`. A number in a path is the
//! place in an array, from 0.
//!
//! Parsing and evaluating are pure. Length, depth and number of comparisons are bounded, so that a filter from outside
//! costs little; the body is parsed as JSON at most once a message, and only if the filter asks for it.

mod compare;
mod error;
mod evaluate;
mod expression;
mod lexer;
mod moment;
mod parser;

pub use error::Error;
pub use evaluate::Message;
pub use expression::Filter;
pub use parser::parse;

/// Longest filter in bytes.
pub const LENGTH_MAX: usize = 4_096;
/// Deepest nesting of parentheses and `not`.
pub const DEPTH_MAX: usize = 32;
/// Most comparisons.
pub const COMPARISONS_MAX: usize = 64;

#[cfg(test)]
mod tests;
