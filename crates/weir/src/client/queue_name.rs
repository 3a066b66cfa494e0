//! How a command names a queue.

use std::convert::Infallible;
use std::str::FromStr;

/// Longest name in SQS.
const NAME_BYTES_MAX: usize = 80;

/// A queue by its name, or by its URL or ARN, whose last part is its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Queue(String);

impl Queue {
    /// What a request has as `QueueUrl`: the server takes names too.
    pub(crate) fn url(&self) -> &str {
        if self.0.starts_with("arn:") { self.name() } else { &self.0 }
    }

    /// Its name. Only the parts of a URL and of an ARN are told apart: a name may itself have slashes and colons.
    pub(crate) fn name(&self) -> &str {
        let end = if self.0.starts_with("arn:") {
            self.0.rsplit(':').next()
        } else if self.0.starts_with("http://") || self.0.starts_with("https://") {
            self.0.rsplit('/').next()
        } else {
            None
        };
        end.unwrap_or(&self.0)
    }

    /// Whether it keeps an order: the name says so.
    pub(crate) fn is_fifo(&self) -> bool {
        is_fifo(self.name())
    }
}

/// Whether a queue of this name keeps an order.
#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "SQS compares it so")]
pub(crate) fn is_fifo(name: &str) -> bool {
    name.ends_with(".fifo")
}

/// Whether SQS can speak of a queue of this name.
pub(crate) fn is_plain(name: &str) -> bool {
    let plain = name.strip_suffix(".fifo").unwrap_or(name);
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && plain.bytes().all(is_allowed)
}

impl FromStr for Queue {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqs_knows_names_of_letters_digits_hyphens_and_underscores() {
        for (name, plain) in [("mail-1_x", true), ("mail.fifo", true), ("mail.x", false), ("über", false), ("", false)]
        {
            assert_eq!(is_plain(name), plain, "{name}");
        }
        assert!(is_plain(&"x".repeat(80)) && !is_plain(&"x".repeat(81)));
    }

    #[test]
    fn a_queue_may_be_named_by_its_url_or_its_arn() {
        let named = |text: &str| text.parse::<Queue>().unwrap();
        assert_eq!(named("mail").url(), "mail");
        let url = "http://127.0.0.1:9324/000000000000/mail.fifo";
        assert_eq!((named(url).url(), named(url).name(), named(url).is_fifo()), (url, "mail.fifo", true));
        let arn = "arn:aws:sqs:us-east-1:000000000000:mail";
        assert_eq!((named(arn).url(), named(arn).name()), ("mail", "mail"));
        assert_eq!(named("eu:mail/bulk").name(), "eu:mail/bulk");
    }
}
