//! A message as it is pushed.

use std::borrow::Cow;

/// A message as it is pushed: what the queue knows of it, in the words of the native API.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// Its id in the queue.
    pub id: u64,
    /// Its public id.
    pub uuid: [u8; 16],
    /// Its name.
    pub name: Option<&'a str>,
    /// The id that its sender chose.
    pub custom_id: Option<&'a str>,
    /// Its message group.
    pub group: Option<&'a str>,
    /// Its deduplication id.
    pub deduplication_id: Option<Cow<'a, str>>,
    /// AWS's trace header.
    pub trace_header: Option<&'a str>,
    /// Its body as it was sent.
    pub body: &'a str,
    /// Its data as JSON.
    pub data: Cow<'a, str>,
    /// Its attributes, without the server's own.
    pub attributes: Vec<Attribute<'a>>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How often it was leased, this time included.
    pub leases: u32,
    /// When it was sent, in milliseconds since 1970.
    pub sent_at_ms: u64,
    /// When it was first leased.
    pub first_leased_at_ms: u64,
    /// Its priority.
    pub priority: u32,
    /// The lease in its wire form: what a target that calls back names it by.
    pub token: String,
}

/// An attribute of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type: `String`, `Number` or `Binary`, with a suffix if it has one.
    pub data_type: &'a str,
    /// Its value.
    pub value: Value<'a>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Text.
    Text(&'a str),
    /// Bytes.
    Binary(Cow<'a, [u8]>),
}

/// What all messages of a queue share.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The queue's name.
    pub queue: &'a str,
    /// Its ARN.
    pub arn: &'a str,
    /// The region in it.
    pub region: &'a str,
    /// The account in it.
    pub account: &'a str,
}

impl Message<'_> {
    /// The public id as text.
    pub fn uuid_text(&self) -> String {
        let hex = hex(&self.uuid);
        let part = |from, to| hex.get(from..to).unwrap_or_default();
        [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
    }

    /// The text of the attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|attribute| attribute.name == name).and_then(|attribute| match attribute.value {
            Value::Text(text) => Some(text),
            Value::Binary(_) => None,
        })
    }
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
