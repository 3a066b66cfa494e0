//! The Query protocol, which several services speak: a form of parameters in, XML out.

mod form;
mod parameters;
mod xml;

pub use form::Form;
pub(crate) use parameters::Parameters;
pub(crate) use xml::{Element, document};

/// Media type of answers.
pub const CONTENT_TYPE: &str = "text/xml";
/// Media type of requests.
pub const FORM_TYPE: &str = "application/x-www-form-urlencoded";
