//! The one table of operations. Requests are routed by it and the reference is made from it, so that they cannot differ.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::http::request::Parts;
use schemars::JsonSchema;

use super::endpoint::{Answer, Call, Endpoint};
use super::route::{Params, Route};
use super::shapes::{Generators, Shapes};
use super::{Problem, decode, events, functions, jobs, limiters, push, query, queues, redrive, reference, topics};
use crate::access::Caller;
use crate::app::App;
use crate::engine::Engine;
use crate::http::Reply;
use crate::metrics::Row;

/// Calls `$with!` with all operations, those with more words in their address before those with parameters.
macro_rules! operations {
    ($with:ident) => {
        $with![
            queues::List,
            queues::Create,
            queues::Get,
            queues::Put,
            queues::Change,
            queues::ChangeTags,
            queues::Metrics,
            queues::Delete,
            queues::Purge,
            queues::Pause,
            queues::Resume,
            queues::Obliterate,
            redrive::Redrive,
            push::List,
            push::Put,
            push::Get,
            push::Delete,
            push::Pause,
            push::Resume,
            push::CallBack,
            functions::List,
            functions::Put,
            functions::Get,
            functions::Delete,
            functions::Call,
            functions::Enqueue,
            functions::sources::List,
            functions::sources::ListOfFunction,
            functions::sources::Put,
            functions::sources::Change,
            functions::sources::Get,
            functions::sources::Delete,
            limiters::List,
            limiters::Put,
            limiters::Get,
            limiters::Delete,
            limiters::Pause,
            limiters::Resume,
            limiters::Acquire,
            limiters::Settle,
            limiters::Release,
            limiters::GetKey,
            limiters::PauseKey,
            limiters::ResumeKey,
            topics::List,
            topics::Put,
            topics::Get,
            topics::Delete,
            topics::Publish,
            topics::ListSubscriptions,
            topics::Subscribe,
            topics::GetSubscription,
            topics::PutSubscription,
            topics::Unsubscribe,
            topics::PauseSubscription,
            topics::ResumeSubscription,
            topics::StartReplay,
            topics::ListReplays,
            topics::CancelReplay,
            jobs::Add,
            jobs::AddToQueue,
            jobs::List,
            jobs::RetryMany,
            jobs::CancelMany,
            jobs::PromoteMany,
            jobs::RemoveMany,
            jobs::Clean,
            jobs::Drain,
            jobs::Get,
            jobs::Change,
            jobs::Remove,
            jobs::LeaveParent,
            jobs::Retry,
            jobs::Cancel,
            jobs::Promote,
            jobs::Report,
            jobs::Logs,
            jobs::Children,
            jobs::Explain,
            jobs::GetDeduplicated,
            jobs::ForgetDeduplication,
            jobs::Lease,
            jobs::Settle,
            events::Everywhere,
            events::OfQueue,
            events::Publish,
            reference::Document,
            reference::Page,
        ]
    };
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send + 'a>>;

/// A request that was read.
pub(super) struct Incoming<'a, E> {
    pub(super) app: &'a Arc<App<E>>,
    pub(super) caller: Caller,
    pub(super) params: Params<'a>,
    pub(super) head: &'a Parts,
    pub(super) body: &'a Bytes,
}

/// An operation of the table.
pub(crate) struct Entry<E> {
    pub(super) route: &'static Route,
    pub(super) run: for<'a> fn(Incoming<'a, E>) -> Running<'a>,
    /// Counts of its requests.
    pub(crate) row: Row,
}

/// The table as a server uses it.
pub(crate) struct Table<E>(Vec<Entry<E>>);

impl<E: Engine> Table<E> {
    pub(crate) fn new() -> Self {
        macro_rules! entries {
            ($($endpoint:ty),* $(,)?) => { vec![$(entry::<E, $endpoint>()),*] };
        }
        Self(operations!(entries))
    }

    /// The operation that answers a request, and the parameters of its address.
    pub(super) fn find<'a, 'p>(&'a self, method: &str, path: &'p str) -> Result<(&'a Entry<E>, Params<'p>), Problem> {
        let mut allowed: Vec<&'static str> = Vec::new();
        for entry in &self.0 {
            let Some(params) = entry.route.matches(path) else { continue };
            if entry.route.method.as_str() == method {
                return Ok((entry, params?));
            }
            allowed.push(entry.route.method.as_str());
        }
        if allowed.is_empty() {
            return Err(Problem::new("request.not_found", "there is nothing at this address; see /v1/docs"));
        }
        Err(Problem::method(allowed.join(", ")))
    }

    /// What was asked for so far: the operations' ids and the counts of their requests.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, &Row)> {
        self.0.iter().map(|entry| (entry.route.id, &entry.row))
    }
}

impl<E> Entry<E> {
    pub(super) fn count(&self, status: u16, latency: Duration) {
        self.row.count(status, latency);
    }
}

/// The table as the reference needs it.
pub(super) fn described(generators: &mut Generators) -> Vec<(&'static Route, Shapes)> {
    macro_rules! shapes {
        ($($endpoint:ty),* $(,)?) => { vec![$((route_of::<$endpoint>(), shapes_of::<$endpoint>(generators))),*] };
    }
    operations!(shapes)
}

fn route_of<P: Endpoint>() -> &'static Route {
    &P::ROUTE
}

fn shapes_of<P: Endpoint>(generators: &mut Generators) -> Shapes {
    Shapes {
        query: generators.query::<P::Query>(),
        request: generators.request::<P::Request<'static>>(),
        response: generators.response::<P::Response>(),
    }
}

#[cfg(test)]
fn example_of<P: Endpoint>() -> (&'static str, Result<(), Problem>) {
    (P::ROUTE.id, decode::body::<P::Request<'_>>(P::ROUTE.example.as_bytes()).map(drop))
}

fn entry<E: Engine, P: Endpoint>() -> Entry<E> {
    Entry { route: route_of::<P>(), run: |incoming| Box::pin(serve::<E, P>(incoming)), row: Row::default() }
}

/// Reads, carries out, writes.
async fn serve<E: Engine, P: Endpoint>(incoming: Incoming<'_, E>) -> Result<Reply, Problem>
where
    P::Response: JsonSchema,
{
    let Incoming { app, caller, params, head, body } = incoming;
    let asked = query::read::<P::Query>(head.uri.query().unwrap_or_default())?;
    let request = decode::body::<P::Request<'_>>(body)?;
    let place = P::ROUTE.path.contains("/jobs/{id}").then(|| params.clone());
    let outcome = P::run(Call { app, caller, params, head }, asked, request).await;
    let answer = outcome.map_err(|problem| match place {
        Some(place) if problem.code() == "job.not_found" => Problem::no_job(place.get("id"), place.get("queue")),
        _ => problem,
    })?;
    Ok(match answer {
        Answer::Of(value) => {
            let body = serde_json::to_vec(&value).map_err(|_| Problem::internal())?;
            Reply::new(StatusCode::OK, P::ROUTE.media_type, body)
        }
        Answer::Written(content) => Reply::new(StatusCode::OK, P::ROUTE.media_type, content),
        Answer::Stream(parts) => Reply::stream(P::ROUTE.media_type, parts),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::native::catalog;

    #[test]
    fn every_example_can_be_read() {
        macro_rules! examples {
            ($($endpoint:ty),* $(,)?) => { vec![$((!<$endpoint>::ROUTE.example.is_empty()).then(example_of::<$endpoint>)),*] };
        }
        for (id, read) in operations!(examples).into_iter().flatten() {
            assert!(read.is_ok(), "{id}: {read:?}");
        }
    }

    #[test]
    fn every_operation_has_an_id_an_address_and_errors_of_its_own() {
        let mut ids = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        for (route, shapes) in described(&mut Generators::new()) {
            assert!(ids.insert(route.id), "{} stands twice", route.id);
            assert!(addresses.insert((route.method.as_str(), route.path)), "{} stands twice", route.path);
            assert!(route.path.starts_with("/v1/"), "{}", route.path);
            assert!(!route.summary.is_empty() && !route.summary.ends_with('.'), "{}", route.id);
            assert!(route.example.is_empty() || shapes.request.is_some(), "{}: nobody reads its example", route.id);
            for code in route.errors {
                assert!(catalog::find(code).is_some(), "{}: {code} is not in the catalog", route.id);
            }
        }
    }
}
