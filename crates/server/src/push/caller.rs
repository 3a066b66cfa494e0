//! Deliveries of a subscription of a function: each becomes a call of it that nobody waits for.

use rand::random;
use weir_aws::sns::arn::{SubscriptionArn, TopicArn};
use weir_aws::sqs::custom_id_hash;
use weir_aws::sqs::payload::{Attribute, Payload, Value};
use weir_core::api::job::{Again, JobOptions, NewJob, Settlement};
use weir_core::api::topic::{Origin, Subscription, Topic};
use weir_core::api::{NewMessage, Queue};
use weir_push::{Health, answer};

use super::parcel::Leased;
use super::send::Landed;
use super::setup::Setup;
use crate::app::App;
use crate::engine::Engine;
use crate::functions;
use crate::limits::{self, Seen};
use crate::native::{CUSTOM_ID, NAME, Problem};
use crate::sns::function_event;

/// When a call is made again that the server cannot take in now.
const LATER_MS: u64 = 1_000;
/// Refusals that pass by themselves, and are nobody's failure.
const PASSING: [&str; 5] = ["server.overloaded", "server.disk_full", "server.closed", "queue.stale", "queue.not_found"];

/// Which function is called for a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    function: String,
    /// The ARN of the subscription.
    arn: String,
    /// The address by which links lead to this server.
    base: String,
}

/// Why there is no call.
enum Uncalled {
    /// There never will be one.
    Never(String),
    /// Making it failed: it is tried again as often as any delivery.
    Failed(String),
    /// The server has no room for it now.
    Later(String),
}

impl Caller {
    /// What holds for a subscription of `function` to a topic.
    pub(super) fn new(base: String, region: &str, function: &str, subscription: &Subscription, topic: &Topic) -> Self {
        let topic = TopicArn { region, namespace: topic.namespace, name: &topic.name };
        let arn = SubscriptionArn { topic, uuid: subscription.uuid }.to_string();
        Self { function: function.to_owned(), arn, base }
    }

    /// Calls the function. A delivery that is made again, because the server ended before it was settled, is known by the
    /// custom id of its call.
    async fn call<E: Engine>(&self, app: &App<E>, own: &Queue, leased: &Leased) -> Result<(), Uncalled> {
        let payload = Payload::decode(&leased.payload)
            .map_err(|error| Uncalled::Never(format!("the stored message cannot be read: {error}")))?;
        let event = match leased.delivery.origin {
            Some(origin) if !origin.raw => self.event(app, origin, &payload).await?,
            _ => None,
        };
        let id = format!("{}-{}", own.name, leased.delivery.handle.message);
        let payload = call(&payload, event.as_deref(), &id);
        let priority = leased.delivery.priority;
        let find = || functions::named(&app.engine, own.namespace, &self.function).map(|(queue, _)| queue);
        let job = |queue: &Queue| {
            let bytes = payload.body.len() as u64 + payload.attributes.iter().map(Attribute::bytes).sum::<u64>();
            let most = app.config.limits.message_bytes(queue.config.message_bytes_max);
            if bytes > most {
                let text = format!("a call of {} has at most {most} bytes, found {bytes}", queue.name);
                return Err(Problem::bad(&text));
            }
            Ok(job(queue, &payload, priority, &id))
        };
        match functions::add(app, find, job).await {
            Ok(_) => Ok(()),
            Err(problem) if matches!(problem.code(), "function.not_found" | "request.invalid") => {
                Err(Uncalled::Never(problem.detail().to_owned()))
            }
            Err(problem) if PASSING.contains(&problem.code()) => Err(Uncalled::Later(problem.detail().to_owned())),
            Err(problem) => Err(Uncalled::Failed(problem.detail().to_owned())),
        }
    }

    async fn event<E: Engine>(
        &self,
        app: &App<E>,
        origin: Origin,
        payload: &Payload<'_>,
    ) -> Result<Option<String>, Uncalled> {
        let made = function_event(app, &self.base, &self.arn, origin, payload).await;
        made.map_err(|fault| Uncalled::Failed(format!("cannot be signed: {}", fault.message)))
    }
}

/// The payload of a call: the event, or else what was published as it is.
fn call<'a>(published: &Payload<'a>, event: Option<&'a str>, id: &'a str) -> Payload<'a> {
    let custom_id = Attribute { name: CUSTOM_ID, data_type: "String", value: Value::Text(id) };
    let mut attributes = vec![custom_id];
    if event.is_none() {
        let kept = |attribute: &&Attribute<'a>| !attribute.name.starts_with("weir.") || attribute.name == NAME;
        attributes.extend(published.attributes.iter().filter(kept).cloned());
    }
    Payload {
        uuid: random(),
        group_id: published.group_id,
        deduplication: None,
        trace_header: published.trace_header,
        attributes,
        body: event.unwrap_or(published.body),
        is_json: event.is_some() || published.is_json,
        publication: None,
    }
}

fn job(queue: &Queue, payload: &Payload<'_>, priority: u32, id: &str) -> NewJob {
    let seen = Seen { body: payload.body, attributes: &payload.attributes, group: payload.group_id };
    let options = JobOptions { custom_id: Some(custom_id_hash(id)), ..JobOptions::default() };
    let message = NewMessage {
        uuid: payload.uuid,
        payload: payload.encode(),
        delay_ms: None,
        priority,
        lane: payload.group_id.map(weir_aws::sqs::lane),
        dedup: None,
        limits: limits::of(&queue.config, &seen),
        options: Some(Box::new(options)),
    };
    NewJob { queue: queue.id, version: queue.version, message }
}

impl Landed {
    /// Makes a call of a function from a message; whether that is done.
    pub(super) async fn call_function<E: Engine>(
        &mut self,
        app: &App<E>,
        setup: &Setup,
        caller: &Caller,
        leased: &Leased,
    ) -> bool {
        self.health = Health::Well;
        let outcome = caller.call(app, &setup.queue, leased).await;
        let is_done = outcome.is_ok();
        let mut fail = |text: String, again| {
            self.counts.failed += 1;
            let failure = answer::failure(&text);
            self.trouble = Some(text);
            Settlement::Fail { failure, again }
        };
        let settlement = match outcome {
            Ok(()) => {
                self.counts.delivered += 1;
                Settlement::Complete { result: None }
            }
            Err(Uncalled::Never(text)) => fail(text, Again::Never),
            Err(Uncalled::Failed(text)) => fail(text, Again::ByPolicy),
            Err(Uncalled::Later(text)) => {
                self.counts.throttled += 1;
                self.trouble = Some(text);
                Settlement::Release { delay_ms: LATER_MS, pause: None }
            }
        };
        self.settlements.push((leased.delivery.handle, settlement));
        is_done
    }
}
