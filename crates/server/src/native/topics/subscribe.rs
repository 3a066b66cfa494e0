//! Subscribing, and what is set of a subscription.

use rand::random;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use weir_core::api::topic::{Endpoint as Target, FilterScope, NewSubscription, SubscriptionConfig};
use weir_core::api::{Command, Config, Error, Reply as EngineReply};
use weir_shard::Refused;

use super::view::SubscriptionView;
use super::{Problem, TRIES};
use crate::access::Role;
use crate::engine::{self, Engine};
use crate::native::bounds::LONGEST_MS;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome};
use crate::native::route::{Method, Route, Tag};
use crate::topics::policy;

/// `POST /v1/topics/{topic}/subscriptions`
pub(crate) struct Subscribe;

/// A subscription to be made: to a queue, a URL or a function.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "NewSubscription")]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSubscriptionView {
    /// The queue that is to be fed.
    queue: Option<String>,
    /// The URL that is to be called.
    url: Option<String>,
    /// The function that is to be called.
    function: Option<String>,
    /// What is set of it. What is absent has its default.
    #[serde(default)]
    settings: SubscriptionSettings,
}

/// What may be set of a subscription. What is absent has its default.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscriptionSettings {
    /// Which messages are delivered: a filter policy. Default: all.
    filter: Option<Box<RawValue>>,
    /// What the filter looks at. Default `attributes`.
    filter_scope: Option<ScopeView>,
    /// Whether deliveries are the message itself and not an envelope around it, where the door knows envelopes. Default
    /// `true`.
    raw: Option<bool>,
    /// The queue that takes what cannot be delivered. Default: none.
    dead_letter_queue: Option<String>,
}

/// What a filter looks at.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "FilterScope")]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScopeView {
    /// The attributes of a message.
    Attributes,
    /// Its data.
    Data,
}

/// A subscription that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CreatedSubscription {
    /// Whether it is new.
    created: bool,
    /// The subscription.
    subscription: SubscriptionView,
}

impl SubscriptionSettings {
    /// The configuration that this asks for; what other doors keep with the subscription stays.
    fn config(&self, before: Option<&SubscriptionConfig>) -> Result<SubscriptionConfig, Problem> {
        let config = SubscriptionConfig {
            raw: self.raw.unwrap_or(true),
            filter: self.filter.as_ref().map(|filter| filter.get().to_owned()),
            filter_scope: match self.filter_scope {
                Some(ScopeView::Data) => FilterScope::Body,
                Some(ScopeView::Attributes) | None => FilterScope::Attributes,
            },
            dead_letter: self.dead_letter_queue.clone(),
            attributes: before.map(|before| before.attributes.clone()).unwrap_or_default(),
        };
        policy(&config).map_err(|error| Problem::field("filter", &error.to_string()))?;
        Ok(config)
    }
}

impl NewSubscriptionView {
    fn target(&self) -> Result<Target, Problem> {
        let given = [
            self.queue.clone().map(Target::Queue),
            self.url.clone().map(Target::Url),
            self.function.clone().map(Target::Function),
        ];
        let mut given = given.into_iter().flatten();
        let target = given.next().filter(|_| given.next().is_none());
        let target = target.ok_or_else(|| Problem::bad("one of queue, url and function must be given"))?;
        if let Target::Url(url) = &target
            && !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
        {
            return Err(Problem::field("url", "must start with http:// or https://"));
        }
        Ok(target)
    }
}

impl Endpoint for Subscribe {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/topics/{topic}/subscriptions",
        "subscribe",
        Tag::Topics,
        Role::Admin,
        "Subscribe a queue, a URL or a function to a topic",
    )
    .example(r#"{"queue": "history", "settings": {"filter": {"plan": ["pro", {"prefix": "team-"}]}}}"#)
    .about(
        "Finds the subscription of this queue, URL or function where it has what is asked for. One that differs is \
         refused. What goes to a URL or a function does so by way of a queue of the subscription's own.",
    )
    .errors(&[
        "topic.not_found",
        "queue.not_found",
        "subscription.exists",
        "subscription.kind_differs",
        "redrive.not_allowed",
        "limit.exceeded",
    ]);
    type Query = Nothing;
    type Request<'a> = NewSubscriptionView;
    type Response = CreatedSubscription;

    async fn run<E: Engine>(
        call: Call<'_, E>,
        _: Nothing,
        request: NewSubscriptionView,
    ) -> Outcome<CreatedSubscription> {
        let (topic, endpoint) = (call.topic()?, request.target()?);
        let config = request.settings.config(None).map_err(|problem| problem.under("settings"))?;
        if let Target::Queue(name) = &endpoint {
            call.find(name)?;
        }
        let new = NewSubscription { uuid: uuid(), endpoint, owner: String::new(), config, confirm: None };
        let queue = Box::new(Config { retention_ms: LONGEST_MS, ..Config::default() });
        let command = Command::Subscribe { topic: topic.id, subscription: Box::new(new), queue, seed: random() };
        match call.command(command).await? {
            EngineReply::Subscription { subscription, created } => {
                Ok(Answer::Of(CreatedSubscription { created, subscription: SubscriptionView::of(&subscription) }))
            }
            _ => Err(Problem::internal()),
        }
    }
}

/// `PUT /v1/topics/{topic}/subscriptions/{subscription}`
pub(crate) struct PutSubscription;

impl Endpoint for PutSubscription {
    const ROUTE: Route = Route::new(
        Method::Put,
        "/v1/topics/{topic}/subscriptions/{subscription}",
        "put_subscription",
        Tag::Topics,
        Role::Admin,
        "Replace what is set of a subscription",
    )
    .example(r#"{"filter": {"price": [{"numeric": [">", 100]}]}, "filter_scope": "data"}"#)
    .about("What the request does not name has its default afterwards. It is in force for the next message at once.")
    .errors(&["topic.not_found", "topic.stale", "subscription.not_found", "redrive.not_allowed"]);
    type Query = Nothing;
    type Request<'a> = SubscriptionSettings;
    type Response = SubscriptionView;

    async fn run<E: Engine>(
        call: Call<'_, E>,
        _: Nothing,
        settings: SubscriptionSettings,
    ) -> Outcome<SubscriptionView> {
        for _ in 0..TRIES {
            let known = call.subscription()?;
            let config = settings.config(Some(&known.config))?;
            if config == known.config {
                return Ok(Answer::Of(SubscriptionView::of(&known)));
            }
            let (subscription, version) = (known.id, known.version);
            let command = Command::ConfigureSubscription { subscription, version, config };
            match engine::call(&call.app.engine, command).await.map(|answered| answered.reply) {
                Ok(EngineReply::Subscription { subscription, .. }) => {
                    return Ok(Answer::Of(SubscriptionView::of(&subscription)));
                }
                Ok(_) => return Err(Problem::internal()),
                Err(Refused::Engine(Error::TopicStale { .. })) => {}
                Err(refused) => return Err(Problem::of(refused)),
            }
        }
        Err(Problem::of_error(&Error::TopicStale { version: 0 }))
    }
}

/// A new public id: a random UUID (version 4).
fn uuid() -> [u8; 16] {
    let mut bytes: [u8; 16] = random();
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    bytes
}
