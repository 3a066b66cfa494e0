//! Reading a form as a request.

use crate::fault::{Code, Fault};
use crate::query::{Form, Parameters};
use crate::sqs::operation::Operation;
use crate::sqs::request::Text;
use crate::text;

/// A request that has a form.
pub trait Decode<'f>: Sized {
    /// Reads it.
    #[doc(hidden)]
    fn read(form: &Source<'f>) -> Result<Self, Fault>;
}

/// Reads a form as a request.
///
/// # Errors
/// `InvalidParameterValue` for what is no number, `MalformedQueryString` for lists and maps that are none.
pub fn decode<'f, T: Decode<'f>>(form: &'f Form<'_>) -> Result<T, Fault> {
    T::read(&Source { at: form.parameters(), path: form.path() })
}

/// The version of the API that there is.
const VERSION: &str = "2012-11-05";

/// The operation that a form names.
///
/// # Errors
/// `MissingAction`, `InvalidAction`, `NoSuchVersion`.
pub fn operation(form: &Form<'_>) -> Result<Operation, Fault> {
    let action = form.action("AmazonSQS", VERSION)?;
    Operation::from_name(action.as_bytes()).ok_or_else(|| {
        let action = text::quote(&action, 256);
        Fault::new(Code::InvalidAction, format!("The action {action} is not valid for this endpoint."))
    })
}

/// What requests are read from.
#[doc(hidden)]
pub struct Source<'f> {
    pub(super) at: Parameters<'f>,
    path: Option<&'f str>,
}

impl<'f> Source<'f> {
    /// The queue that the request is about: a parameter, or where the request was sent.
    pub(super) fn queue_url(&self) -> Option<Text<'f>> {
        self.at.text("QueueUrl").or(self.path.map(Text::Borrowed))
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
