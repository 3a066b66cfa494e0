//! What requests of several services are made of.

use std::borrow::Cow;

/// Text of a request, borrowed from its bytes where it has no escapes.
pub type Text<'a> = Cow<'a, str>;

/// A map of the wire, in its order and with its duplicates already refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs<'a, T>(pub Vec<(Text<'a>, T)>);

impl<T> Default for Pairs<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// A message attribute or message system attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeValue<'a> {
    /// `String`, `Number` or `Binary`, with a suffix after a dot.
    pub data_type: Option<Text<'a>>,
    /// The value of a `String` or `Number`.
    pub string_value: Option<Text<'a>>,
    /// The value of a `Binary`, in base64.
    pub binary_value: Option<Text<'a>>,
    /// `StringListValues`: of the model, but not supported, by AWS neither.
    pub string_list_values: Option<Vec<Text<'a>>>,
    /// `BinaryListValues`: of the model, but not supported, by AWS neither.
    pub binary_list_values: Option<Vec<Text<'a>>>,
}
