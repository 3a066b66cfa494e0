//! Replays of a topic's archive to a subscription.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_core::Time;
use weir_core::api::topic::{Replay, ReplayId, ReplayStatus};
use weir_core::api::{Command, Reply as EngineReply};

use super::Problem;
use crate::access::Role;
use crate::engine::Engine;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome};
use crate::native::route::{Method, Route, Tag};
use crate::topics::carry_on;

/// A replay.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Replay")]
pub(crate) struct ReplayView {
    /// Its id.
    id: String,
    /// How it stands.
    status: StatusView,
    /// What was published from then on is replayed.
    from_ms: u64,
    /// And before then.
    until_ms: u64,
    /// How far it is: when the last message that it came by was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    reached_ms: Option<u64>,
    /// How many messages were delivered.
    replayed: u64,
    /// How many the filter kept away.
    filtered: u64,
    /// When it was started.
    started_at_ms: u64,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at_ms: Option<u64>,
}

/// How a replay stands.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ReplayStatus")]
#[serde(rename_all = "snake_case")]
enum StatusView {
    /// It goes on.
    Running,
    /// All that the archive held of its stretch of time was looked at.
    Completed,
    /// It was ended before.
    Cancelled,
}

impl ReplayView {
    fn of(replay: &Replay) -> Self {
        Self {
            id: replay.id.0.to_string(),
            status: match replay.status {
                ReplayStatus::Running => StatusView::Running,
                ReplayStatus::Completed => StatusView::Completed,
                ReplayStatus::Cancelled => StatusView::Cancelled,
            },
            from_ms: replay.from.0,
            until_ms: replay.until.0,
            reached_ms: replay.after.map(|after| after.at.0),
            replayed: replay.replayed,
            filtered: replay.passed,
            started_at_ms: replay.started_at.0,
            ended_at_ms: replay.ended_at.map(|at| at.0),
        }
    }
}

/// `POST /v1/topics/{topic}/subscriptions/{subscription}/replays`
pub(crate) struct StartReplay;

/// What is to be replayed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewReplay {
    /// What was published from then on: milliseconds since 1970. Default: all that the archive has.
    from_ms: Option<u64>,
    /// And before then. Default: now.
    until_ms: Option<u64>,
}

impl Endpoint for StartReplay {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/topics/{topic}/subscriptions/{subscription}/replays",
        "start_replay",
        Tag::Topics,
        Role::Admin,
        "Replay the topic's archive to a subscription",
    )
    .example(r#"{"from_ms": 1700000000000}"#)
    .about(
        "It goes on in the background, by the filter that the subscription has, and over restarts. Messages come beside \
         those that are published meanwhile.",
    )
    .errors(&["topic.not_found", "subscription.not_found", "topic.no_archive", "replay.active"]);
    type Query = Nothing;
    type Request<'a> = NewReplay;
    type Response = ReplayView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, request: NewReplay) -> Outcome<ReplayView> {
        let (from, until) = (request.from_ms.unwrap_or(0), request.until_ms.unwrap_or(u64::MAX));
        if from >= until {
            let text = format!("must be later than from_ms, {from}, found {until}");
            return Err(Problem::field("until_ms", &text));
        }
        let subscription = call.subscription()?.id;
        let command = Command::StartReplay { subscription, from: Time(from), until: Time(until) };
        match call.command(command).await? {
            EngineReply::Replay(replay) => {
                carry_on(call.app, replay);
                Ok(Answer::Of(ReplayView::of(&replay)))
            }
            _ => Err(Problem::internal()),
        }
    }
}

/// `GET /v1/topics/{topic}/subscriptions/{subscription}/replays`
pub(crate) struct ListReplays;

/// The replays of a subscription.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Replays {
    /// The one that runs and the last ones that ended, newest first.
    replays: Vec<ReplayView>,
}

impl Endpoint for ListReplays {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/topics/{topic}/subscriptions/{subscription}/replays",
        "list_replays",
        Tag::Topics,
        Role::Read,
        "The replays of a subscription",
    )
    .errors(&["topic.not_found", "subscription.not_found"]);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = Replays;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<Replays> {
        match call.command(Command::Replays { subscription: call.subscription()?.id }).await? {
            EngineReply::Replays(replays) => {
                Ok(Answer::Of(Replays { replays: replays.iter().map(ReplayView::of).collect() }))
            }
            _ => Err(Problem::internal()),
        }
    }
}

/// `DELETE /v1/topics/{topic}/subscriptions/{subscription}/replays/{replay}`
pub(crate) struct CancelReplay;

impl Endpoint for CancelReplay {
    const ROUTE: Route = Route::new(
        Method::Delete,
        "/v1/topics/{topic}/subscriptions/{subscription}/replays/{replay}",
        "cancel_replay",
        Tag::Topics,
        Role::Admin,
        "End a replay where it stands",
    )
    .about("What was delivered stays.")
    .errors(&["topic.not_found", "subscription.not_found", "replay.not_found", "replay.ended"]);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = ReplayView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<ReplayView> {
        let subscription = call.subscription()?.id;
        let text = call.params.get("replay");
        let missing = || Problem::new("replay.not_found", &format!("there is no replay {text} of the subscription"));
        let id = ReplayId(text.parse().map_err(|_| missing())?);
        let EngineReply::Replays(known) = call.command(Command::Replays { subscription }).await? else {
            return Err(Problem::internal());
        };
        known.iter().find(|replay| replay.id == id).ok_or_else(missing)?;
        match call.command(Command::CancelReplay { replay: id }).await? {
            EngineReply::Replay(replay) => Ok(Answer::Of(ReplayView::of(&replay))),
            _ => Err(Problem::internal()),
        }
    }
}
