//! Subscriptions: made, changed, ended.

use rand::RngExt as _;
use weir_aws::sns::arn::TopicArn;
use weir_aws::sns::fault::{invalid, no_subscription};
use weir_aws::sns::request::{OnSubscription, SetAttribute, Subscribe};
use weir_aws::sns::subscription::{self, Context, Protocol, REPLAY_POLICY};
use weir_aws::sns::{Answer, CONFIRM_WITHIN_MS, topic};
use weir_aws::sqs::Limits;
use weir_aws::{Code, Fault};
use weir_core::api::job::{ATTEMPTS_MAX, Backoff, Keep, Retry};
use weir_core::api::topic::{Endpoint, NewSubscription, Subscription, SubscriptionConfig, Topic};
use weir_core::api::{Command, Config, Error, Namespace, Reply};
use weir_filter_policy::Limits as FilterLimits;
use weir_shard::Refused;

use super::confirm::asking;
use super::refusal::{self, engine_fault};
use super::replays;
use super::{Door, TRIES};
use crate::app::App;
use crate::engine::{Engine, call};
use crate::fresh::{now_ms, uuid};
use crate::http::Content;
use crate::push::{Notifier, Setup, Shared, links_note};
use crate::sqs::Refusal;

impl<E: Engine> Door<'_, E> {
    pub(super) async fn subscribe(&self, request: Subscribe<'_>) -> Result<Content, Refusal> {
        let (topic, arn) = self.topic("TopicArn", request.topic_arn.as_deref())?;
        let endpoint =
            subscription::endpoint(request.protocol.as_deref(), request.endpoint.as_deref(), &arn, topic.kind)?;
        let protocol = Protocol::of(&endpoint);
        let attributes = request.attributes.unwrap_or_default();
        let config = subscription::create(&attributes, &self.context(protocol, topic.namespace))?;
        replays::check(subscription::replay_policy(&config), &topic, !protocol.needs_confirmation())?;
        let owner = self.call.caller.map(|caller| caller.namespace).unwrap_or_default();
        let queue = match &endpoint {
            Endpoint::Url(url) => {
                check_url(url, &self.app.pushers.shared)?;
                own_queue(&self.app.base_url(self.call.host))
            }
            Endpoint::Function(_) => {
                let base = self.app.base_url(self.call.host);
                Config { retry: retry(&topic, &config), ..own_queue(&base) }
            }
            Endpoint::Queue(_) => Config { retry: retry(&topic, &config), ..Config::default() },
        };
        let new = NewSubscription {
            uuid: uuid(),
            endpoint,
            owner: format!("{:012}", owner.0),
            config,
            confirm: protocol.needs_confirmation().then(|| (token(), CONFIRM_WITHIN_MS)),
        };
        let command = Command::Subscribe {
            topic: topic.id,
            subscription: Box::new(new),
            queue: Box::new(queue),
            seed: rand::random(),
        };
        let Reply::Subscription { subscription, .. } = self.call(command).await? else {
            return Err(Fault::internal().into());
        };
        self.replay_to_new(&subscription).await?;
        if subscription.pending_until.is_none() || request.return_arn {
            self.ask_to_confirm(&subscription, &arn).await?;
            return Ok(self.answer(&Answer::Subscription(&self.subscription_arn(&subscription, &topic))));
        }
        self.ask_to_confirm(&subscription, &arn).await?;
        Ok(self.answer(&Answer::Subscription("pending confirmation")))
    }

    pub(super) async fn unsubscribe(&self, request: &OnSubscription<'_>) -> Result<Content, Refusal> {
        let found = match self.subscription(request.subscription_arn.as_deref()) {
            Ok((found, _)) => found,
            // What has ended already needs no end.
            Err(fault) if fault.code == Code::NotFound => return Ok(self.answer(&Answer::Done)),
            Err(fault) => return Err(fault.into()),
        };
        if self.call.caller.is_none() && subscription::is_authenticated(&found.config) {
            let message = "The subscription was confirmed so that only a signed request ends it.";
            return Err(Fault::new(Code::AccessDenied, message).into());
        }
        match unsubscribe(self.app, &found).await {
            Ok(()) | Err(Refused::Engine(Error::SubscriptionNotFound)) => Ok(self.answer(&Answer::Done)),
            Err(refused) => Err(refusal::of(refused)),
        }
    }

    pub(super) async fn subscription_attributes(&self, request: &OnSubscription<'_>) -> Result<Content, Refusal> {
        let (found, topic) = self.subscription(request.subscription_arn.as_deref())?;
        let mut attributes = subscription::list(&found, &topic, self.region());
        let replay = self.replay_status(&found).await?;
        attributes.extend(replay.map(|status| ("ReplayStatus", status.to_owned())));
        Ok(self.answer(&Answer::Attributes(&attributes)))
    }

    pub(super) async fn set_subscription_attribute(&self, request: &SetAttribute<'_>) -> Result<Content, Refusal> {
        let (name, value) = topic::asked(request.name.as_deref(), request.value.as_deref())?;
        let (_, topic) = self.subscription(request.arn.as_deref())?;
        self.configure(request.arn.as_deref(), |found, config| {
            subscription::set(config, name, value, &self.context(Protocol::of(&found.endpoint), found.namespace))?;
            let asked = (name == REPLAY_POLICY).then(|| subscription::replay_policy(config)).flatten();
            replays::check(asked, &topic, found.pending_until.is_none())
        })
        .await?;
        if name == REPLAY_POLICY {
            let (found, _) = self.subscription(request.arn.as_deref())?;
            self.replay(found.id, subscription::replay_policy(&found.config)).await?;
        }
        Ok(self.answer(&Answer::Done))
    }

    /// Changes what is set of a subscription: `change` is asked again where another change comes between.
    pub(super) async fn configure(
        &self,
        arn: Option<&str>,
        change: impl Fn(&Subscription, &mut SubscriptionConfig) -> Result<(), Fault>,
    ) -> Result<(), Refusal> {
        for _ in 0..TRIES {
            let (found, _) = self.subscription(arn)?;
            let mut config = found.config.clone();
            change(&found, &mut config)?;
            if config == found.config {
                return Ok(());
            }
            let command = Command::ConfigureSubscription { subscription: found.id, version: found.version, config };
            match call(&self.app.engine, command).await {
                Ok(_) => return Ok(()),
                Err(Refused::Engine(Error::TopicStale { .. })) => {}
                Err(Refused::Engine(Error::SubscriptionNotFound)) => return Err(no_subscription().into()),
                Err(refused) => return Err(refusal::of(refused)),
            }
        }
        Err(engine_fault(&Error::TopicStale { version: 0 }).into())
    }

    fn context(&self, protocol: Protocol, namespace: Namespace) -> Context {
        let filter_limits = if self.app.config.limits == Limits::AWS { FilterLimits::AWS } else { FilterLimits::OURS };
        Context { protocol, namespace, filter_limits }
    }
}

/// Ends a subscription. The endpoint of one over SNS that was confirmed is told.
pub(crate) async fn unsubscribe<E: Engine>(app: &App<E>, found: &Subscription) -> Result<(), Refused> {
    let farewell = found.queue.filter(|_| found.pending_until.is_none());
    let farewell = farewell.and_then(|queue| app.pushers.farewell(queue));
    call(&app.engine, Command::Unsubscribe { subscription: found.id }).await?;
    let Some((farewell, topic)) = farewell.zip(app.engine.directory().topic_by_id(found.topic)) else { return Ok(()) };
    let (base, token) = (farewell.base().to_owned(), token());
    let arn = TopicArn { region: &app.config.region, namespace: topic.namespace, name: &topic.name };
    match asking(app, &base, &arn, &token, true).await {
        Ok(asking) => {
            app.ended.remember(token, now_ms(), base, found.clone());
            farewell.say(app, asking);
        }
        // It has ended all the same; why there is no signature stands in the log.
        Err(fault) => tracing::warn!(error = %fault.message, "an endpoint is not told that its subscription ended"),
    }
    Ok(())
}

/// Refuses a URL that cannot be called.
fn check_url(url: &str, shared: &Shared) -> Result<(), Fault> {
    let checked = Notifier::settings(url).and_then(|settings| Setup::check(&settings, shared));
    checked.map_err(|problem| invalid("Endpoint", &format!("the URL {}", problem.text)))
}

/// The configuration of the queue of a subscription of a URL or a function: what goes wrong is tried again as the delivery
/// policy says, and nothing of what was delivered remains. Links lead to this server at `base`.
pub(super) fn own_queue(base: &str) -> Config {
    Config {
        retry: Retry { attempts_max: ATTEMPTS_MAX, ..Retry::default() },
        // A server that is ended in the middle is no fault of the endpoint.
        stalls_max: u32::MAX,
        keep_completed: Keep::NONE,
        notes: vec![links_note(base)],
        ..Config::default()
    }
}

/// How deliveries to a function are tried again.
fn retry(topic: &Topic, config: &SubscriptionConfig) -> Retry {
    let policy = subscription::effective_delivery_policy(&topic.config, config);
    let retries = policy.healthy_retry_policy.unwrap_or_default();
    let delays_ms: Vec<u64> = (1..=retries.num_retries).map_while(|retry| retries.delay_ms(retry)).collect();
    let cap_ms = u64::from(retries.max_delay_target) * 1_000;
    let backoff = if delays_ms.is_empty() { Backoff::Fixed { delay_ms: 0 } } else { Backoff::List { delays_ms } };
    Retry { attempts_max: retries.num_retries + 1, backoff, cap_ms, ..Retry::default() }
}

/// A token that nobody guesses.
fn token() -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut rng = rand::rng();
    (0..64).map(|_| char::from(DIGITS.get(rng.random_range(0..16_usize)).copied().unwrap_or(b'0'))).collect()
}

/// The ARN of the topic, for who confirms.
pub(super) fn link(base: &str, topic: &TopicArn<'_>, token: &str) -> String {
    format!("{base}/?Action=ConfirmSubscription&TopicArn={topic}&Token={token}")
}
