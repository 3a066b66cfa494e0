//! Responses.

use bytes::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use tokio::sync::mpsc;

use super::content::{Content, Whole};

/// A response, before it is one of HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) body: Content,
    /// What follows in parts, in place of a body.
    stream: Option<mpsc::Receiver<Bytes>>,
    /// The code that old SDK code matches on, as the header carries it.
    pub(crate) query_error: Option<String>,
    pub(crate) retry_after_s: Option<u64>,
    /// The methods that the address takes, where it was asked with another one.
    pub(crate) allow: Option<String>,
    /// What else its headers say.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The id of the request where it is known already.
    pub(crate) request_id: Option<HeaderValue>,
    /// Whether the connection ends with this response.
    pub(crate) closes: bool,
}

const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

impl Reply {
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Content>) -> Self {
        Self {
            status,
            content_type,
            body: body.into(),
            stream: None,
            query_error: None,
            retry_after_s: None,
            allow: None,
            headers: Vec::new(),
            request_id: None,
            closes: false,
        }
    }

    /// A success that is told part by part.
    pub(crate) fn stream(content_type: &'static str, parts: mpsc::Receiver<Bytes>) -> Self {
        Self { stream: Some(parts), ..Self::new(StatusCode::OK, content_type, "") }
    }

    pub(crate) fn text(status: StatusCode, text: &'static str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text)
    }

    pub(crate) fn into_response(self) -> Response<Whole> {
        let is_stream = self.stream.is_some();
        let body = match self.stream {
            Some(parts) => Whole::stream(parts),
            None => Whole::new(self.body),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(REQUEST_ID, self.request_id.unwrap_or_else(request_id));
        if let Some(code) = self.query_error.and_then(|code| HeaderValue::try_from(code).ok()) {
            headers.insert(QUERY_ERROR, code);
        }
        if is_stream {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(methods) = self.allow.and_then(|methods| HeaderValue::try_from(methods).ok()) {
            headers.insert(ALLOW, methods);
        }
        headers.extend(self.headers);
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// A new id by which client and log can speak of a request.
pub(crate) fn request_id() -> HeaderValue {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut bits: u128 = rand::random();
    let mut text = [b'-'; 36];
    for (at, digit) in text.iter_mut().enumerate() {
        if !matches!(at, 8 | 13 | 18 | 23) {
            *digit = DIGITS.get((bits & 15) as usize).copied().unwrap_or(b'0');
            bits >>= 4;
        }
    }
    HeaderValue::from_bytes(&text).expect("digits and hyphens make a header value")
}
