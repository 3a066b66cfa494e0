//! The Query protocol: a form of parameters in, XML out. What SDKs spoke before the JSON protocol.
//!
//! A [`Form`] is decoded into the same requests as JSON is, so that every rule is there once.

mod decode;
mod encode;
mod form;
mod parameters;
mod shapes;
mod xml;

pub use decode::{Decode, decode};
pub use encode::{answer, carries, error, not_carried, unknown_operation};
pub use form::Form;

/// Media type of answers.
pub const CONTENT_TYPE: &str = "text/xml";
/// Media type of requests.
pub const FORM_TYPE: &str = "application/x-www-form-urlencoded";
