//! A request as its signature sees it.

use sha2::{Digest, Sha256};

/// The parts of a request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its method, in capitals.
    pub method: &'a str,
    /// The path of its URL, as it was sent: still percent-encoded.
    pub path: &'a str,
    /// The query of its URL, as it was sent, without `?`; empty where there is none.
    pub query: &'a str,
    /// Its headers, in order, each name as often as it was sent. A request of HTTP/2 has its authority as `host`.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Its body.
    pub payload: Payload<'a>,
}

/// The body of a request.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// The body itself.
    Bytes(&'a [u8]),
    /// Its SHA-256, for who has computed it already.
    Sha256([u8; 32]),
}

impl Payload<'_> {
    pub(super) fn sha256(&self) -> [u8; 32] {
        match self {
            Payload::Bytes(bytes) => Sha256::digest(bytes).into(),
            Payload::Sha256(digest) => *digest,
        }
    }
}

impl<'a> Request<'a> {
    /// The values of the headers called `name`.
    pub(super) fn headers(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, value)| value)
    }

    /// The first header called `name`, as text.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers(name).next().and_then(|value| std::str::from_utf8(value).ok()).map(str::trim)
    }
}
