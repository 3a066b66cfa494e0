//! The MD5 digests by which a client checks what the service read.

use md5::{Digest, Md5};

use super::message_attributes::{Attribute, Value};

/// An MD5 digest in hexadecimal, as it goes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Md5Hex([u8; 32]);

impl Md5Hex {
    /// The digest of a body.
    pub fn of_body(body: &[u8]) -> Self {
        Self::of(Md5::new_with_prefix(body))
    }

    /// The digest of attributes, or of system attributes: `None` where there are none.
    ///
    /// Per attribute in the order of the names: name, type and value, each after its length in four bytes, and before
    /// the value one byte that says how it is carried (1 text, 2 binary).
    pub fn of_attributes<'a, 'b: 'a>(attributes: impl IntoIterator<Item = &'a Attribute<'b>>) -> Option<Self> {
        let mut sorted: Vec<&Attribute<'_>> = attributes.into_iter().collect();
        if sorted.is_empty() {
            return None;
        }
        sorted.sort_unstable_by_key(|attribute| attribute.name);
        let mut md5 = Md5::new();
        for attribute in sorted {
            update(&mut md5, attribute.name.as_bytes());
            update(&mut md5, attribute.data_type.as_bytes());
            match &attribute.value {
                Value::Text(text) => {
                    md5.update([1]);
                    update(&mut md5, text.as_bytes());
                }
                Value::Binary(bytes) => {
                    md5.update([2]);
                    update(&mut md5, bytes);
                }
            }
        }
        Some(Self::of(md5))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }

    fn of(md5: Md5) -> Self {
        let mut digits = [0; 32];
        hex(&md5.finalize(), &mut digits);
        Self(digits)
    }
}

fn update(md5: &mut Md5, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    md5.update(len.to_be_bytes());
    md5.update(bytes);
}

/// Writes `bytes` as hexadecimal digits into `digits`, which is twice as long.
pub(crate) fn hex(bytes: &[u8], digits: &mut [u8]) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        if let [high, low] = pair {
            *high = digit(byte >> 4);
            *low = digit(byte & 15);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn text<'a>(name: &'a str, data_type: &'a str, value: &'a str) -> Attribute<'a> {
        Attribute { name, data_type, value: Value::Text(value) }
    }

    #[test]
    fn digests_are_those_of_aws() {
        // The example of AWS's guide, with the digests that its service answered.
        let body = "Information about current NY Times fiction bestseller for week of 12/11/2016.";
        assert_eq!(Md5Hex::of_body(body.as_bytes()).as_str(), "bbdc5fdb8be7251f5c910905db994bab");
        let attributes = [
            text("WeeksOn", "Number", "6"),
            text("Title", "String", "The Whistler"),
            text("Author", "String", "John Grisham"),
        ];
        let digest = Md5Hex::of_attributes(&attributes).unwrap();
        assert_eq!(digest.as_str(), "d25a6aea97eb8f585bfa92d314504a92");
        assert_eq!(Md5Hex::of_body(b"").as_str(), "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn binary_and_text_of_the_same_bytes_differ() {
        let binary = Attribute { name: "a", data_type: "String", value: Value::Binary(Cow::Borrowed(b"v")) };
        assert_ne!(Md5Hex::of_attributes([&binary]), Md5Hex::of_attributes([&text("a", "String", "v")]));
        assert_eq!(Md5Hex::of_attributes(&[] as &[Attribute<'_>]), None);
    }
}
