//! Permits: starts of programs outside, under a limiter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_core::api::limit::{Acquired, PERMIT_MS_MAX, PermitId};
use weir_core::api::{Command, Error, Reply as EngineReply};
use weir_core::limiter::UNITS_MAX;

use super::super::Problem;
use super::super::bounds::WAIT_MS_MAX;
use super::super::endpoint::{Answer, Call, Endpoint, Nothing, Outcome, within};
use super::super::route::{Method, Route, Tag};
use super::key_of;
use super::manage::BlockedView;
use crate::access::Role;
use crate::engine::Engine;

/// `POST /v1/limiters/{limiter}/acquire`
pub(crate) struct Acquire;

/// What is to be started.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcquireRequest {
    /// The key. Default: the one that all share who name none.
    key: Option<String>,
    /// What it is expected to cost, from 1. Default 1.
    cost: Option<u64>,
    /// Its priority. Default 0.
    priority: Option<u32>,
    /// When the permit ends by itself: up to a day. Default a minute.
    lease_ms: Option<u64>,
    /// How long to wait for it: up to an hour. Default 0.
    wait_ms: Option<u64>,
}

/// A permit, or why there is none.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PermitAnswer {
    /// Whether it is granted.
    granted: bool,
    /// The permit: what it is settled with.
    #[serde(skip_serializing_if = "Option::is_none")]
    permit: Option<String>,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    until_ms: Option<u64>,
    /// What it would have waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked: Option<BlockedView>,
}

impl Endpoint for Acquire {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/limiters/{limiter}/acquire",
        "acquire_permit",
        Tag::Limiters,
        Role::Write,
        "Take a permit",
    )
    .example(r#"{"key": "customer-17", "wait_ms": 5000}"#).about(
        "Start only with a permit, and settle it when done: until then, or until it ends by itself, it counts towards the \
         concurrency. Its start counts in the windows from when this answer was written, whatever becomes of it. A permit \
         that cannot be handed over, because the connection ended, is taken back at once.",
    )
    .errors(&["limiter.not_found", "limit.exceeded"]);
    type Query = Nothing;
    type Request<'a> = AcquireRequest;
    type Response = PermitAnswer;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, request: AcquireRequest) -> Outcome<PermitAnswer> {
        let limiter = call.limiter()?.id;
        let wait_ms = within("wait_ms", request.wait_ms.unwrap_or_default(), 0, WAIT_MS_MAX)?;
        let command = Command::Acquire {
            limiter,
            key: request.key.as_deref().map(key_of),
            cost: within("cost", request.cost.unwrap_or(1), 1, u64::from(UNITS_MAX))? as u32,
            priority: request.priority.unwrap_or_default(),
            lease_ms: within("lease_ms", request.lease_ms.unwrap_or(60_000), 1, PERMIT_MS_MAX)?,
            wait_ms,
        };
        let answered = call.app.receive(limiter, command, wait_ms > 0).await.map_err(Problem::of)?;
        let EngineReply::Acquired(acquired) = answered.reply else { return Err(Problem::internal()) };
        match acquired {
            Acquired::Granted { permit, until } => {
                let (granted, until_ms) = (true, Some(until.0));
                let answer = PermitAnswer { granted, permit: Some(permit.0.to_string()), until_ms, blocked: None };
                let body = serde_json::to_vec(&answer).map_err(|_| Problem::internal())?;
                Ok(Answer::Written(call.app.permitting(body, limiter, permit)))
            }
            Acquired::Blocked(blocked) => {
                let blocked = Some(BlockedView::of(blocked));
                Ok(Answer::Of(PermitAnswer { granted: false, permit: None, until_ms: None, blocked }))
            }
        }
    }
}

/// `POST /v1/limiters/{limiter}/settle`
pub(crate) struct Settle;

/// What a permit really cost.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PermitSettlement {
    /// The permit.
    permit: String,
    /// What it cost, where that is not what was expected: may be 0.
    cost: Option<u64>,
    /// Whether the work is done. Default yes; one that is not goes on counting towards the concurrency.
    done: Option<bool>,
}

impl Endpoint for Settle {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/limiters/{limiter}/settle",
        "settle_permit",
        Tag::Limiters,
        Role::Write,
        "Say what a permit cost, and end it",
    )
    .errors(&["limiter.not_found", "permit.not_found"]);
    type Query = Nothing;
    type Request<'a> = PermitSettlement;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, request: PermitSettlement) -> Outcome<Nothing> {
        let cost = request.cost.map(|cost| within("cost", cost, 0, u64::from(UNITS_MAX))).transpose()?;
        let cost = cost.map(|cost| cost as u32);
        settle(&call, &request.permit, cost, request.done.unwrap_or(true)).await
    }
}

/// `POST /v1/limiters/{limiter}/release`
pub(crate) struct Release;

/// A permit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PermitRelease {
    /// The permit.
    permit: String,
}

impl Endpoint for Release {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/limiters/{limiter}/release",
        "release_permit",
        Tag::Limiters,
        Role::Write,
        "End a permit that cost what was expected",
    )
    .errors(&["limiter.not_found", "permit.not_found"]);
    type Query = Nothing;
    type Request<'a> = PermitRelease;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, request: PermitRelease) -> Outcome<Nothing> {
        settle(&call, &request.permit, None, true).await
    }
}

async fn settle<E: Engine>(call: &Call<'_, E>, permit: &str, cost: Option<u32>, done: bool) -> Outcome<Nothing> {
    let limiter = call.limiter()?.id;
    // What cannot be one of ours was never granted.
    let permit = permit.parse().map(PermitId).map_err(|_| Problem::of_error(&Error::PermitNotFound))?;
    call.command(Command::SettlePermit { limiter, permit, cost, done }).await?;
    Ok(Answer::Of(Nothing {}))
}
