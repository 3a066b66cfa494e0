//! Names and addresses of queues.

use weir_core::api::{Kind, Namespace};

use super::limits::NAME_MAX;
use super::text;
use crate::arn::{account_id, push_account_id};
use crate::fault::{Code, Fault};

/// Where a queue is, as a request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// The account of the URL; `None` for a bare name.
    pub namespace: Option<Namespace>,
    /// The queue's name.
    pub name: &'a str,
}

impl<'a> Address<'a> {
    /// Reads a queue URL. A bare name stands for the queue of that name, and so does any path that ends in it.
    pub fn parse(url: &'a str) -> Result<Self, Fault> {
        let path = match url.split_once("://") {
            Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
            None => url,
        };
        let path = path.trim_end_matches('/');
        let (before, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name.is_empty() {
            let message = format!("The address {} is not valid for this endpoint.", text::quote(url, 256));
            return Err(Fault::new(Code::InvalidAddress, message));
        }
        let account = before.rsplit('/').next().unwrap_or_default();
        Ok(Self { namespace: account_id(account), name })
    }
}

/// Appends the URL of a queue as seen from `host`.
pub fn push_url(out: &mut Vec<u8>, scheme: &str, host: &str, namespace: Namespace, name: &str) {
    out.extend_from_slice(scheme.as_bytes());
    out.extend_from_slice(b"://");
    out.extend_from_slice(host.as_bytes());
    out.push(b'/');
    push_account_id(out, namespace);
    out.push(b'/');
    out.extend_from_slice(name.as_bytes());
}

/// Checks the name of a queue to be created, and says what kind of queue it names.
pub fn check(name: &str) -> Result<Kind, Fault> {
    let (stem, kind) = match name.strip_suffix(".fifo") {
        Some(stem) => (stem, Kind::Fifo),
        None => (name, Kind::Standard),
    };
    if stem.is_empty() || name.len() > NAME_MAX || !text::is_word(stem) {
        let message = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
        return Err(Fault::new(Code::InvalidParameterValue, message));
    }
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_addressed_by_url_path_or_name() {
        let zero = Some(Namespace(0));
        for (url, namespace, name) in [
            ("http://127.0.0.1:9324/000000000000/orders", zero, "orders"),
            ("https://sqs.eu-west-1.amazonaws.com/000000000000/orders.fifo", zero, "orders.fifo"),
            ("http://localhost:9324/queue/orders", None, "orders"),
            ("/000000000000/orders", zero, "orders"),
            ("000000000000/orders/", zero, "orders"),
            ("http://host/orders", None, "orders"),
            ("orders", None, "orders"),
        ] {
            assert_eq!(Address::parse(url), Ok(Address { namespace, name }), "{url}");
        }
        for url in ["", "/", "http://host", "http://host/"] {
            assert_eq!(Address::parse(url).unwrap_err().code, Code::InvalidAddress, "{url}");
        }
    }

    #[test]
    fn names_have_eighty_characters_of_a_small_set() {
        assert_eq!(check("a"), Ok(Kind::Standard));
        assert_eq!(check("A-z_09.fifo"), Ok(Kind::Fifo));
        assert_eq!(check(&"n".repeat(80)), Ok(Kind::Standard));
        let long = "n".repeat(81);
        for name in ["", ".fifo", "a.b", "a b", "é", "a.FIFO", "a/b", long.as_str()] {
            assert_eq!(check(name).unwrap_err().code, Code::InvalidParameterValue, "{name}");
        }
    }

    #[test]
    fn a_url_is_as_the_caller_sees_the_server() {
        let mut out = Vec::new();
        push_url(&mut out, "http", "127.0.0.1:9324", Namespace(0), "orders");
        assert_eq!(out, b"http://127.0.0.1:9324/000000000000/orders");
    }
}
