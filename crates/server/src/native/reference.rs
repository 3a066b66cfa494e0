//! The reference: the OpenAPI document, and a page for people that is made from it.

mod page;

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::Value;

use super::endpoint::{Answer, Call, Endpoint, Nothing, Outcome};
use super::openapi;
use super::route::{Method, Route, Tag};
use crate::access::Role;
use crate::engine::Engine;
use crate::http::Content;

/// `GET /v1/openapi.json`
pub(crate) struct Document;

impl Endpoint for Document {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/openapi.json",
        "get_openapi",
        Tag::Reference,
        Role::Read,
        "This API as an OpenAPI 3.1 document",
    )
    .public();
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = serde_json::Map<String, Value>;

    async fn run<E: Engine>(_: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<Self::Response> {
        static TEXT: OnceLock<Bytes> = OnceLock::new();
        let text = TEXT.get_or_init(|| openapi::document().to_string().into());
        Ok(Answer::Written(Content::from(text.clone())))
    }
}

/// `GET /v1/docs`
pub(crate) struct Page;

impl Endpoint for Page {
    const ROUTE: Route =
        Route::new(Method::Get, "/v1/docs", "get_docs", Tag::Reference, Role::Read, "This API as a page to read")
            .media_type("text/html; charset=utf-8")
            .public();
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = Nothing;

    async fn run<E: Engine>(_: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<Nothing> {
        static TEXT: OnceLock<Bytes> = OnceLock::new();
        let text = TEXT.get_or_init(|| page::page(&openapi::document()).into());
        Ok(Answer::Written(Content::from(text.clone())))
    }
}
