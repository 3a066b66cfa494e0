//! Subscriptions: listing, looking, pausing, ending.

use rand::random;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_core::api::topic::{Endpoint as Target, SubscriptionId};
use weir_core::api::{Command, Reply as EngineReply};

use super::Problem;
use super::view::{SubscriptionCountersView, SubscriptionView};
use crate::access::Role;
use crate::engine::Engine;
use crate::native::cursor;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome, within};
use crate::native::push::{PushStatus, PushView};
use crate::native::route::{Method, Route, Tag};

const NOT_FOUND: &[&str] = &["topic.not_found", "subscription.not_found"];

/// `GET /v1/topics/{topic}/subscriptions`
pub(crate) struct ListSubscriptions;

/// How much of a topic's subscriptions is listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscriptionsQuery {
    /// How many at most, from 1 to 1 000. Default 100.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<u64>,
    /// Where the last page ended.
    cursor: Option<String>,
}

/// A page of subscriptions, in the order in which they were made.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SubscriptionPage {
    /// The subscriptions.
    subscriptions: Vec<SubscriptionView>,
    /// For the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl Endpoint for ListSubscriptions {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/topics/{topic}/subscriptions",
        "list_subscriptions",
        Tag::Topics,
        Role::Read,
        "The subscriptions of a topic",
    )
    .errors(&["topic.not_found"]);
    type Query = SubscriptionsQuery;
    type Request<'a> = Nothing;
    type Response = SubscriptionPage;

    async fn run<E: Engine>(call: Call<'_, E>, query: SubscriptionsQuery, _: Nothing) -> Outcome<SubscriptionPage> {
        let limit = within("limit", query.limit.unwrap_or(100), 1, 1_000)? as usize;
        let after = query.cursor.as_deref().map(cursor::read).transpose()?;
        let after = after.map(|text| text.parse().map(SubscriptionId)).transpose();
        let after = after.map_err(|_| Problem::field("cursor", "it is none that this server gave"))?;
        let topic = call.topic()?;
        let directory = call.app.engine.directory();
        let mut found = directory.subscriptions(call.caller.namespace, Some(topic.id), after, limit + 1);
        let more = found.len() > limit;
        found.truncate(limit);
        let cursor = found.last().filter(|_| more).map(|last| cursor::write(&last.id.0.to_string()));
        let subscriptions = found.iter().map(|subscription| SubscriptionView::of(subscription)).collect();
        Ok(Answer::Of(SubscriptionPage { subscriptions, cursor }))
    }
}

/// `GET /v1/topics/{topic}/subscriptions/{subscription}`
pub(crate) struct GetSubscription;

/// A subscription with its counters.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SubscriptionState {
    /// The subscription.
    subscription: SubscriptionView,
    /// What it did.
    counters: SubscriptionCountersView,
    /// How its URL is called, from which queue, and how it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    push: Option<PushView>,
    /// How its function is called, and from which queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<CallsView>,
}

/// How the function of a subscription is called.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SubscriptionCalls")]
struct CallsView {
    /// The queue in which deliveries wait, and stay that failed for good.
    queue: String,
    /// How they stand. Absent for the moment until calling begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<PushStatus>,
}

impl Endpoint for GetSubscription {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/topics/{topic}/subscriptions/{subscription}",
        "get_subscription",
        Tag::Topics,
        Role::Read,
        "A subscription with its counters",
    )
    .errors(NOT_FOUND);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = SubscriptionState;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<SubscriptionState> {
        let found = call.subscription()?;
        let EngineReply::SubscriptionStats { subscription, counters } =
            call.command(Command::SubscriptionStats { subscription: found.id }).await?
        else {
            return Err(Problem::internal());
        };
        let (mut push, mut calls) = (None, None);
        match &subscription.endpoint {
            Target::Url(url) => push = Some(call.push_of(&*call.own_queue(&subscription)?, url)?),
            Target::Function(_) => {
                let own = call.own_queue(&subscription)?;
                let status = call.app.pushers.status(own.id).map(PushStatus::of);
                calls = Some(CallsView { queue: own.name.clone(), status });
            }
            Target::Queue(_) => {}
        }
        let (subscription, counters) = (SubscriptionView::of(&subscription), SubscriptionCountersView::of(&counters));
        Ok(Answer::Of(SubscriptionState { subscription, counters, push, calls }))
    }
}

/// `DELETE /v1/topics/{topic}/subscriptions/{subscription}`
pub(crate) struct Unsubscribe;

impl Endpoint for Unsubscribe {
    const ROUTE: Route = Route::new(
        Method::Delete,
        "/v1/topics/{topic}/subscriptions/{subscription}",
        "unsubscribe",
        Tag::Topics,
        Role::Admin,
        "End a subscription",
    )
    .about(
        "What was delivered to a queue stays there. What is held, or waits for a URL or a function, goes with it. The \
         endpoint of a subscription that was made over SNS is told.",
    )
    .errors(NOT_FOUND);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<Nothing> {
        let found = call.subscription()?;
        crate::sns::unsubscribe(call.app, &found).await.map_err(Problem::of)?;
        Ok(Answer::Of(Nothing {}))
    }
}

/// `POST /v1/topics/{topic}/subscriptions/{subscription}/pause`
pub(crate) struct PauseSubscription;

impl Endpoint for PauseSubscription {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/topics/{topic}/subscriptions/{subscription}/pause",
        "pause_subscription",
        Tag::Topics,
        Role::Write,
        "Hold the deliveries of a subscription",
    )
    .about("They are kept, and follow in order when it is resumed.")
    .errors(NOT_FOUND);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = SubscriptionView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<SubscriptionView> {
        hold(&call, true).await
    }
}

/// `POST /v1/topics/{topic}/subscriptions/{subscription}/resume`
pub(crate) struct ResumeSubscription;

impl Endpoint for ResumeSubscription {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/topics/{topic}/subscriptions/{subscription}/resume",
        "resume_subscription",
        Tag::Topics,
        Role::Write,
        "Let the deliveries of a subscription go on",
    )
    .errors(&["topic.not_found", "subscription.not_found", "queue.not_found", "queue.kind_differs"]);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = SubscriptionView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<SubscriptionView> {
        hold(&call, false).await
    }
}

async fn hold<E: Engine>(call: &Call<'_, E>, paused: bool) -> Outcome<SubscriptionView> {
    let subscription = call.subscription()?.id;
    match call.command(Command::PauseSubscription { subscription, paused, seed: random() }).await? {
        EngineReply::Subscription { subscription, .. } => Ok(Answer::Of(SubscriptionView::of(&subscription))),
        _ => Err(Problem::internal()),
    }
}
