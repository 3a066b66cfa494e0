//! What an operation is made of.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use hyper::http::request::Parts;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use weir_core::api::{Command, Queue, Reply as EngineReply};

use super::Problem;
use super::route::{Params, Route};
use crate::access::Caller;
use crate::app::App;
use crate::engine::{self, Engine};
use crate::http::Content;

/// An operation. What it takes and answers are types, from which both the reference and the reading are made.
pub(crate) trait Endpoint: 'static {
    /// Method, address, meaning, access.
    const ROUTE: Route;
    /// The query of the address.
    type Query: DeserializeOwned + JsonSchema + Send;
    /// The body of the request.
    type Request<'a>: Deserialize<'a> + JsonSchema + Send;
    /// The body of a success.
    type Response: Serialize + JsonSchema;

    /// Carries it out.
    fn run<'a, E: Engine>(
        call: Call<'a, E>,
        query: Self::Query,
        request: Self::Request<'a>,
    ) -> impl Future<Output = Outcome<Self::Response>> + Send;
}

/// What became of a call.
pub(crate) type Outcome<T> = Result<Answer<T>, Problem>;

/// A success.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    /// A value that is written as JSON.
    Of(T),
    /// Bytes of the media type of the route. Where that is JSON, they read as the response's type.
    Written(Content),
    /// Parts of an answer that goes on for as long as somebody sends and somebody reads.
    Stream(mpsc::Receiver<Bytes>),
}

/// Nothing: what an operation takes that needs to be told no more, or answers that has no more to say.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// A request, as far as it is no value of the operation's own.
pub(crate) struct Call<'a, E> {
    pub(crate) app: &'a Arc<App<E>>,
    pub(crate) caller: Caller,
    pub(crate) params: Params<'a>,
    pub(crate) head: &'a Parts,
}

impl<E: Engine> Call<'_, E> {
    /// The queue that the address names.
    pub(crate) fn queue(&self) -> Result<Arc<Queue>, Problem> {
        self.find(self.params.get("queue"))
    }

    /// The queue called `name`.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Queue>, Problem> {
        self.app.engine.find(self.caller.namespace, name).ok_or_else(|| Problem::no_queue(name))
    }

    /// Carries out a command that fails or succeeds as a whole.
    pub(crate) async fn command(&self, command: Command) -> Result<EngineReply, Problem> {
        let answered = engine::call(&self.app.engine, command).await.map_err(Problem::of)?;
        Ok(answered.reply)
    }

    /// The value of a header that must be text.
    pub(crate) fn header(&self, name: &str) -> Result<Option<&str>, Problem> {
        let Some(value) = self.head.headers.get(name) else { return Ok(None) };
        value.to_str().map(Some).map_err(|_| Problem::field(name, "must be visible ASCII"))
    }
}

/// Refuses a number that is out of bounds.
pub(crate) fn within(field: impl Into<Cow<'static, str>>, value: u64, least: u64, most: u64) -> Result<u64, Problem> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Problem::field(&field.into(), &format!("must be from {least} to {most}, found {value}")))
}
