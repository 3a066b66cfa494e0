//! Reading a form as a request.

use super::form::Form;
use super::parameters::Parameters;
use crate::fault::Fault;
use crate::sqs::request::Text;

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
