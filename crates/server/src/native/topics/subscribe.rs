//! Subscribing, and what is set of a subscription.

use std::collections::HashMap;
use std::sync::Arc;

use rand::random;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use weir_core::api::job::{Keep, Retry};
use weir_core::api::topic::{Endpoint as Target, FilterScope, NewSubscription, Subscription, SubscriptionConfig};
use weir_core::api::{Command, Config, Error, Queue, Reply as EngineReply};
use weir_push::url::Url;
use weir_push::{Invalid, Settings};
use weir_shard::Refused;

use super::view::SubscriptionView;
use super::{Problem, TRIES};
use crate::access::Role;
use crate::engine::{self, Engine};
use crate::fresh::uuid;
use crate::functions;
use crate::native::bounds::LONGEST_MS;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome};
use crate::native::jobs::options::RetrySettings;
use crate::native::push::note_of;
use crate::native::route::{Method, Route, Tag};
use crate::push::{Note, Setup, Shared, is_over_sns};
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
    /// How a URL is called: the members of a `PushTarget` but `url`. Secrets that are not named stay.
    #[schemars(with = "Option<HashMap<String, serde_json::Value>>")]
    push: Option<Map<String, Value>>,
    /// How deliveries to a URL are tried again.
    retry: Option<RetrySettings>,
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

    /// The push target that this asks for behind the queue of a subscription of `url`.
    fn target(&self, url: &str, shared: &Shared) -> Result<Settings, Problem> {
        let mut members = self.push.clone().unwrap_or_default();
        if members.insert("url".to_owned(), url.into()).is_some() {
            return Err(Problem::field("push.url", "is the subscription's, and cannot be another"));
        }
        let settings: Settings = serde_path_to_error::deserialize(Value::Object(members))
            .map_err(|error| Problem::field(&format!("push.{}", error.path()), &error.inner().to_string()))?;
        let problem = |Invalid { field, text }| Problem::field(&format!("push.{field}"), &text);
        Setup::check(&settings, shared).map_err(problem)?;
        Ok(settings)
    }

    /// Changes the configuration of a subscription's own queue as this asks.
    fn apply(&self, config: &mut Config, url: &str, shared: &Shared) -> Result<(), Problem> {
        let mut target = self.target(url, shared)?;
        let before = note_of(config, None)?;
        if let Some(before) = &before {
            target.keep_secrets_of(&before.target);
        }
        Note::new(target, false).put(config);
        config.retry = Retry::default();
        match &self.retry {
            Some(retry) => retry.apply(&mut config.retry, "retry"),
            None => Ok(()),
        }
    }

    /// Refuses what means something for URLs only.
    fn check_no_url(&self) -> Result<(), Problem> {
        let given = [("push", self.push.is_some()), ("retry", self.retry.is_some())];
        match given.into_iter().find(|(_, given)| *given) {
            Some((field, _)) => Err(Problem::field(field, "means something for subscriptions of URLs only")),
            None => Ok(()),
        }
    }
}

/// What the own queue of a subscription of a URL or a function is, before anything is set.
fn own_queue() -> Config {
    // A server that is ended in the middle is no fault of the endpoint.
    Config { retention_ms: LONGEST_MS, stalls_max: u32::MAX, keep_completed: Keep::NONE, ..Config::default() }
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
        if let Target::Url(url) = &target {
            Url::parse(url).map_err(|text| Problem::field("url", &text))?;
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
        "function.not_found",
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
        let (shared, settings) = (&call.app.pushers.shared, &request.settings);
        let mut queue = own_queue();
        match &endpoint {
            Target::Url(url) => {
                settings.apply(&mut queue, url, shared).map_err(|problem| problem.under("settings"))?;
            }
            Target::Function(name) => {
                settings.check_no_url().map_err(|problem| problem.under("settings"))?;
                let found = functions::find(&call.app.engine, call.caller.namespace, name);
                if !found.is_ok_and(|found| found.is_some()) {
                    return Err(Problem::no_function(name).of_field("function"));
                }
            }
            Target::Queue(_) => {
                settings.check_no_url().map_err(|problem| problem.under("settings"))?;
                queue = Config { retention_ms: LONGEST_MS, ..Config::default() };
            }
        }
        let new = NewSubscription { uuid: uuid(), endpoint, owner: String::new(), config, confirm: None };
        let queue = Box::new(queue);
        let command = Command::Subscribe { topic: topic.id, subscription: Box::new(new), queue, seed: random() };
        let EngineReply::Subscription { subscription, created } = call.command(command).await? else {
            return Err(Problem::internal());
        };
        if let (Target::Url(url), false) = (&subscription.endpoint, created) {
            // The engine does not look at what is set of the queue.
            let own = call.own_queue(&subscription)?;
            let mut asked = own.config.clone();
            settings.apply(&mut asked, url, shared).map_err(|problem| problem.under("settings"))?;
            if asked != own.config {
                let detail = "the URL is subscribed already, and is called or tried again otherwise; PUT changes it";
                return Err(Problem::new("subscription.exists", detail).of_subscription(subscription.id));
            }
        }
        Ok(Answer::Of(CreatedSubscription { created, subscription: SubscriptionView::of(&subscription) }))
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
            if !call.configure_own(&known, &settings).await? {
                continue;
            }
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

impl<E: Engine> Call<'_, E> {
    /// The queue of a subscription's own.
    pub(super) fn own_queue(&self, subscription: &Subscription) -> Result<Arc<Queue>, Problem> {
        let found = subscription.queue.and_then(|queue| self.app.engine.directory().queue(queue));
        found.ok_or_else(|| Problem::new("subscription.not_found", "the subscription has just ended"))
    }

    /// Changes the queue of a subscription's own; whether it was as it was known.
    async fn configure_own(&self, known: &Subscription, settings: &SubscriptionSettings) -> Result<bool, Problem> {
        let Target::Url(url) = &known.endpoint else {
            settings.check_no_url()?;
            return Ok(true);
        };
        let own = self.own_queue(known)?;
        if is_over_sns(&own) {
            // How it is called is said by its delivery policy.
            settings.check_no_url()?;
            return Ok(true);
        }
        let mut config = own.config.clone();
        settings.apply(&mut config, url, &self.app.pushers.shared)?;
        Ok(self.configure(&own, config).await?.is_some())
    }
}
