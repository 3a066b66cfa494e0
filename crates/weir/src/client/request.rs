//! A request, before it is signed and sent.

use std::time::Duration;

use serde_json::Value;

use super::PATIENCE;
use weir_client::address::{self, path};

/// A request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
    parameters: Vec<(&'static str, String)>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<Vec<u8>>,
    /// How long its answer may take.
    pub(super) patience: Duration,
}

impl Request {
    fn native(method: &'static str, segments: &[&str]) -> Self {
        Self::new(method, path(segments))
    }

    pub(super) fn new(method: &'static str, path: String) -> Self {
        Self { method, path, parameters: Vec::new(), headers: Vec::new(), body: None, patience: PATIENCE }
    }

    /// Asks for what is at `/v1/…`.
    pub(crate) fn get(segments: &[&str]) -> Self {
        Self::native("GET", segments)
    }

    /// Posts to `/v1/…`.
    pub(crate) fn post(segments: &[&str]) -> Self {
        Self::native("POST", segments)
    }

    /// Puts what is to be at `/v1/…`.
    pub(crate) fn put(segments: &[&str]) -> Self {
        Self::native("PUT", segments)
    }

    /// Changes what is at `/v1/…`.
    pub(crate) fn patch(segments: &[&str]) -> Self {
        Self::native("PATCH", segments)
    }

    /// Deletes what is at `/v1/…`.
    pub(crate) fn delete(segments: &[&str]) -> Self {
        Self::native("DELETE", segments)
    }

    /// With a body in JSON.
    pub(crate) fn json(self, body: &Value) -> Self {
        self.written(body.to_string().into_bytes())
    }

    /// With a body that is written in JSON already.
    pub(crate) fn written(self, body: Vec<u8>) -> Self {
        self.header("content-type", Some("application/json".to_owned())).body(body)
    }

    pub(super) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }

    /// With a parameter in the address, if it has a value.
    pub(crate) fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.parameters.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// With a header, if it has a value.
    pub(crate) fn header(mut self, name: &'static str, value: Option<String>) -> Self {
        self.headers.extend(value.map(|value| (name, value)));
        self
    }

    /// The server may take so long beyond what any request may take.
    pub(crate) fn waiting(mut self, wait: Duration) -> Self {
        self.patience = wait + PATIENCE;
        self
    }

    pub(super) fn query(&self) -> String {
        address::query(&self.parameters)
    }
}
