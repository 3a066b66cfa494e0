//! Limiters themselves and their keys.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_core::api::limit::{KeyStats, LIMITER_NAME_BYTES_MAX, LimitKey, Limiter};
use weir_core::api::{Command, Reply as EngineReply};
use weir_core::limiter::Unknown;

use super::super::endpoint::{Answer, Call, Endpoint, Nothing, Outcome, within};
use super::super::jobs::told;
use super::super::route::{Method, Route, Tag};
use super::super::{Problem, cursor};
use super::{TermsView, key_of};
use crate::access::Role;
use crate::engine::Engine;

const NOT_FOUND: &[&str] = &["limiter.not_found"];
const YEAR_MS: u64 = 366 * 86_400_000;

/// A limiter.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Limiter")]
pub(crate) struct LimiterView {
    /// Its name.
    name: String,
    /// What it allows.
    terms: TermsView,
    /// Counts the changes, from 1.
    version: u64,
    /// When it was created.
    created_at_ms: u64,
    /// When it was changed last.
    modified_at_ms: u64,
}

impl LimiterView {
    fn of(limiter: &Limiter) -> Self {
        Self {
            name: limiter.name.clone(),
            terms: TermsView::of(&limiter.terms),
            version: limiter.version,
            created_at_ms: limiter.created_at.0,
            modified_at_ms: limiter.modified_at.0,
        }
    }
}

/// `PUT /v1/limiters/{limiter}`
pub(crate) struct Put;

/// How a change meets what was started before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutQuery {
    /// What is assumed of the past where windows become longer than what is known of it. Default `full`.
    unknown: Option<UnknownView>,
}

/// What is assumed of starts that are not known any more.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "UnknownPast")]
#[serde(rename_all = "snake_case")]
enum UnknownView {
    /// They fill the window: the promise holds over the change, but a key may wait for as long as the windows grew.
    #[default]
    Full,
    /// They were none: nobody waits, and intervals that began before the change may hold too many.
    Empty,
}

/// A limiter that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PutLimiter {
    /// Whether it is new.
    created: bool,
    /// The limiter.
    limiter: LimiterView,
}

impl Endpoint for Put {
    const ROUTE: Route = Route::new(
        Method::Put,
        "/v1/limiters/{limiter}",
        "put_limiter",
        Tag::Limiters,
        Role::Admin,
        "Create a limiter, or change what it allows",
    )
    .example(r#"{"windows": [{"max": 50, "per_ms": 10000}], "concurrency": 10}"#).about(
        "A change is in force at once. Queues use a limiter by naming it in their `limiters`, programs outside by taking \
         permits. What was started before keeps counting.",
    )
    .errors(&["limiter.out_of_range", "limiter.too_many", "limiter.reserve_repeated", "limit.exceeded"]);
    type Query = PutQuery;
    type Request<'a> = TermsView;
    type Response = PutLimiter;

    async fn run<E: Engine>(call: Call<'_, E>, query: PutQuery, terms: TermsView) -> Outcome<PutLimiter> {
        let name = call.params.get("limiter").to_owned();
        if name.len() > LIMITER_NAME_BYTES_MAX || name.chars().any(char::is_control) {
            let text = format!("must have from 1 to {LIMITER_NAME_BYTES_MAX} bytes and no control characters");
            return Err(Problem::field("limiter", &format!("{text}, found {} bytes", name.len())));
        }
        let unknown = match query.unknown.unwrap_or_default() {
            UnknownView::Full => Unknown::Full,
            UnknownView::Empty => Unknown::Empty,
        };
        let namespace = call.caller.namespace;
        match call.command(Command::PutLimiter { namespace, name, terms: terms.terms(), unknown }).await? {
            EngineReply::Limiter { limiter, created } => {
                Ok(Answer::Of(PutLimiter { created, limiter: LimiterView::of(&limiter) }))
            }
            _ => Err(Problem::internal()),
        }
    }
}

/// `GET /v1/limiters`
pub(crate) struct List;

/// Which limiters are listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListLimiters {
    /// How many at most, from 1 to 1 000. Default 100.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<u64>,
    /// Where the last page ended.
    cursor: Option<String>,
}

/// A page of limiters, in the order of their names.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LimiterPage {
    /// The limiters.
    limiters: Vec<LimiterView>,
    /// For the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl Endpoint for List {
    const ROUTE: Route =
        Route::new(Method::Get, "/v1/limiters", "list_limiters", Tag::Limiters, Role::Read, "Limiters by name");
    type Query = ListLimiters;
    type Request<'a> = Nothing;
    type Response = LimiterPage;

    async fn run<E: Engine>(call: Call<'_, E>, query: ListLimiters, _: Nothing) -> Outcome<LimiterPage> {
        let limit = within("limit", query.limit.unwrap_or(100), 1, 1_000)? as usize;
        let after = query.cursor.as_deref().map(cursor::read).transpose()?;
        let mut found = call.app.engine.limiters(call.caller.namespace, after.as_deref(), limit + 1);
        let more = found.len() > limit;
        found.truncate(limit);
        let cursor = found.last().filter(|_| more).map(|limiter| cursor::write(&limiter.name));
        let limiters = found.iter().map(|limiter| LimiterView::of(limiter)).collect();
        Ok(Answer::Of(LimiterPage { limiters, cursor }))
    }
}

/// `GET /v1/limiters/{limiter}`
pub(crate) struct Get;

/// A limiter, and how one of its keys stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LimiterState {
    /// The limiter.
    limiter: LimiterView,
    /// How the key stands.
    state: KeyState,
}

/// How a key of a limiter stands.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LimiterKeyState")]
pub(crate) struct KeyState {
    /// What each window counts now, in their order.
    windows: Vec<WindowState>,
    /// Starts that are not finished.
    running: u64,
    /// Until when it is paused, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_until_ms: Option<u64>,
    /// What an ordinary start would wait for now; absent where it would be granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked: Option<BlockedView>,
}

/// What a window counts now.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LimiterWindowState")]
struct WindowState {
    /// Starts or units.
    used: u64,
    /// How many there may be.
    max: u32,
}

/// What a start waits for.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Blocked")]
pub(crate) struct BlockedView {
    /// What it is.
    reason: String,
    /// No start is possible before, unless something is given back. Absent where time alone changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    until_ms: Option<u64>,
}

impl BlockedView {
    pub(super) fn of(blocked: weir_core::limiter::Blocked) -> Self {
        Self { reason: told(blocked.by), until_ms: blocked.until.map(|at| at.0) }
    }
}

impl KeyState {
    fn of(stats: &KeyStats) -> Self {
        Self {
            windows: stats.windows.iter().map(|&(used, max)| WindowState { used, max }).collect(),
            running: stats.running,
            paused_until_ms: stats.paused_until.map(|at| at.0),
            blocked: stats.blocked.map(BlockedView::of),
        }
    }
}

async fn state<E: Engine>(
    call: &Call<'_, E>,
    limiter: &Arc<Limiter>,
    key: Option<LimitKey>,
) -> Result<KeyState, Problem> {
    match call.command(Command::LimiterStats { limiter: limiter.id, key }).await? {
        EngineReply::KeyStats(stats) => Ok(KeyState::of(&stats)),
        _ => Err(Problem::internal()),
    }
}

impl Endpoint for Get {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/limiters/{limiter}",
        "get_limiter",
        Tag::Limiters,
        Role::Read,
        "A limiter, and how it stands for those without a key",
    )
    .errors(NOT_FOUND);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = LimiterState;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<LimiterState> {
        let limiter = call.limiter()?;
        let state = state(&call, &limiter, None).await?;
        Ok(Answer::Of(LimiterState { limiter: LimiterView::of(&limiter), state }))
    }
}

/// `GET /v1/limiters/{limiter}/keys/{key}`
pub(crate) struct GetKey;

impl Endpoint for GetKey {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/limiters/{limiter}/keys/{key}",
        "get_limiter_key",
        Tag::Limiters,
        Role::Read,
        "How a key of a limiter stands",
    )
    .about("A key that was never used stands as one that is free.")
    .errors(NOT_FOUND);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = KeyState;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<KeyState> {
        let limiter = call.limiter()?;
        state(&call, &limiter, Some(key_of(call.params.get("key")))).await.map(Answer::Of)
    }
}

/// `DELETE /v1/limiters/{limiter}`
pub(crate) struct Delete;

impl Endpoint for Delete {
    const ROUTE: Route = Route::new(
        Method::Delete,
        "/v1/limiters/{limiter}",
        "delete_limiter",
        Tag::Limiters,
        Role::Admin,
        "Delete a limiter",
    )
    .about("What ran under it is limited no more.")
    .errors(NOT_FOUND);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<Nothing> {
        let limiter = call.limiter()?.id;
        call.command(Command::DeleteLimiter { limiter }).await?;
        Ok(Answer::Of(Nothing {}))
    }
}

/// For how long a key, or those without one, are paused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyPause {
    /// For how long: up to 366 days.
    for_ms: u64,
}

/// `POST /v1/limiters/{limiter}/keys/{key}/pause`
pub(crate) struct PauseKey;

impl Endpoint for PauseKey {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/limiters/{limiter}/keys/{key}/pause",
        "pause_limiter_key",
        Tag::Limiters,
        Role::Write,
        "Leave a key alone for a while",
    )
    .about("As after a 429 with Retry-After: nothing of the key starts meanwhile, and no attempt is counted.")
    .errors(NOT_FOUND);
    type Query = Nothing;
    type Request<'a> = KeyPause;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, request: KeyPause) -> Outcome<Nothing> {
        let for_ms = within("for_ms", request.for_ms, 1, YEAR_MS)?;
        hold(&call, Some(named_key(&call)), for_ms).await
    }
}

/// `POST /v1/limiters/{limiter}/keys/{key}/resume`
pub(crate) struct ResumeKey;

impl Endpoint for ResumeKey {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/limiters/{limiter}/keys/{key}/resume",
        "resume_limiter_key",
        Tag::Limiters,
        Role::Write,
        "Let a paused key go on",
    )
    .errors(NOT_FOUND);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<Nothing> {
        hold(&call, Some(named_key(&call)), 0).await
    }
}

/// `POST /v1/limiters/{limiter}/pause`
pub(crate) struct Pause;

impl Endpoint for Pause {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/limiters/{limiter}/pause",
        "pause_limiter",
        Tag::Limiters,
        Role::Write,
        "Leave those without a key alone for a while",
    )
    .about(
        "What has no key of its own shares one, which is everything where queues name the limiter without a key. Keys go \
         on.",
    )
    .errors(NOT_FOUND);
    type Query = Nothing;
    type Request<'a> = KeyPause;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, request: KeyPause) -> Outcome<Nothing> {
        let for_ms = within("for_ms", request.for_ms, 1, YEAR_MS)?;
        hold(&call, None, for_ms).await
    }
}

/// `POST /v1/limiters/{limiter}/resume`
pub(crate) struct Resume;

impl Endpoint for Resume {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/limiters/{limiter}/resume",
        "resume_limiter",
        Tag::Limiters,
        Role::Write,
        "Let those without a key go on",
    )
    .errors(NOT_FOUND);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<Nothing> {
        hold(&call, None, 0).await
    }
}

fn named_key<E>(call: &Call<'_, E>) -> LimitKey {
    key_of(call.params.get("key"))
}

async fn hold<E: Engine>(call: &Call<'_, E>, key: Option<LimitKey>, for_ms: u64) -> Outcome<Nothing> {
    let limiter = call.limiter()?.id;
    call.command(Command::PauseKey { limiter, key, for_ms }).await?;
    Ok(Answer::Of(Nothing {}))
}
