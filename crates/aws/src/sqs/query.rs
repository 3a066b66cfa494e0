//! The Query protocol: a form of parameters in, XML out. What SDKs spoke before the JSON protocol.
//!
//! A [`Form`] is decoded into the same requests as JSON is, so that every rule is there once.

mod decode;
mod encode;
mod shapes;

pub use crate::query::{CONTENT_TYPE, FORM_TYPE, Form};
pub use decode::{Decode, decode, operation};
pub use encode::{answer, carries, error, not_carried, unknown_operation};
