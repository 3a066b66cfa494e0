//! Publishing.

use rand::random;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use weir_aws::sns;
use weir_aws::sns::arn::TopicArn;
use weir_aws::sqs::payload::{Attribute, Payload, Publication, Value};
use weir_aws::sqs::{Deduplication, content_hash, id_hash, lane};
use weir_core::api::topic::Topic;
use weir_core::api::{BATCH_MAX, Kind};

use super::Problem;
use crate::access::Role;
use crate::engine::Engine;
use crate::fresh::now_ms;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome, within};
use crate::native::jobs::{Attributes, NAME, check_text};
use crate::native::route::{Method, Route, Tag};
use crate::native::text::Text;
use crate::topics::Outgoing;

/// `POST /v1/topics/{topic}/messages`
pub(crate) struct Publish;

/// Messages to be published.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPublications<'a> {
    /// The messages: 1 to 1 000.
    #[serde(borrow)]
    messages: Vec<NewPublication<'a>>,
}

/// A message to be published.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "NewPublication")]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPublication<'a> {
    /// What kind of message it is: up to 256 bytes.
    #[serde(borrow)]
    name: Option<Text<'a>>,
    /// Any JSON. Over SQS its text is the body. Default `null`.
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    /// Text, numbers and `{"binary": base64}` beside the data: what filters look at unless they look at the data.
    #[serde(borrow)]
    attributes: Option<Attributes<'a>>,
    /// Its message group. Needed on a FIFO topic; passed on by a standard topic.
    #[serde(borrow)]
    group: Option<Text<'a>>,
    /// Later messages of the same id are duplicates of it. FIFO topics only.
    #[serde(borrow)]
    deduplication_id: Option<Text<'a>>,
    /// 0 is delivered first, then 1, 2, …. Default 0.
    priority: Option<u32>,
}

/// What became of the messages, in their order.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Publications {
    /// The messages.
    messages: Vec<PublicationView>,
}

/// What became of a message.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Publication")]
struct PublicationView {
    /// Its id; that of the first one where this is a duplicate. Those of a topic ascend.
    id: String,
    /// Whether an earlier one has the same deduplication id, and nothing was delivered.
    duplicate: bool,
    /// To how many subscriptions it was delivered.
    delivered: u64,
    /// How many could not take it.
    failed: u64,
}

impl Endpoint for Publish {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/topics/{topic}/messages",
        "publish",
        Tag::Topics,
        Role::Write,
        "Publish messages to all who subscribed",
    )
    .example(r#"{"messages": [{"name": "lesson.finished", "data": {"user": 17}, "attributes": {"plan": "pro"}}]}"#)
    .about(
        "Once it is answered, every queue that subscribed and whose filter lets a message through has it: all deliveries \
         of all messages of the request are one commit. A queue that cannot take a message keeps it from nobody else.",
    )
    .errors(&["topic.not_found", "topic.stale", "message.group_required", "limit.exceeded"]);
    type Query = Nothing;
    type Request<'a> = NewPublications<'a>;
    type Response = Publications;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, request: NewPublications<'_>) -> Outcome<Publications> {
        within("messages", request.messages.len() as u64, 1, BATCH_MAX as u64)?;
        let topic = call.topic()?;
        let mut outgoing = Vec::with_capacity(request.messages.len());
        for (at, message) in request.messages.iter().enumerate() {
            let limits = &call.app.config.limits;
            outgoing.push(
                message
                    .outgoing(&topic, &call.app.config.region, limits)
                    .map_err(|problem| problem.under(&format!("messages[{at}]")))?,
            );
        }
        let published = call.app.publish(topic.id, &outgoing).await.map_err(Problem::of)?;
        let view = |one: Result<weir_core::api::topic::Published, _>| {
            let one = one.map_err(|error| Problem::of_error(&error))?;
            let (id, duplicate) = (one.id.to_string(), one.duplicate);
            Ok(PublicationView { id, duplicate, delivered: one.delivered, failed: one.failed })
        };
        let messages = published.into_iter().map(view).collect::<Result<_, Problem>>()?;
        Ok(Answer::Of(Publications { messages }))
    }
}

impl NewPublication<'_> {
    fn outgoing(&self, topic: &Topic, region: &str, limits: &weir_aws::sqs::Limits) -> Result<Outgoing, Problem> {
        let texts = [("name", &self.name), ("group", &self.group), ("deduplication_id", &self.deduplication_id)];
        for (field, text) in texts {
            if let Some(text) = text {
                check_text(field, text)?;
            }
        }
        let is_fifo = topic.kind == Kind::Fifo;
        if is_fifo && self.group.is_none() {
            return Err(Problem::new("message.group_required", "group: a message on a FIFO topic needs one"));
        }
        if !is_fifo && self.deduplication_id.is_some() {
            return Err(Problem::field("deduplication_id", "only a FIFO topic, whose name ends in `.fifo`, knows it"));
        }
        let mut attributes = Vec::new();
        attributes.extend(self.name.as_ref().map(|text| Attribute {
            name: NAME,
            data_type: "String",
            value: Value::Text(text),
        }));
        if let Some(given) = &self.attributes {
            given.push_to(&mut attributes, limits.attributes_max)?;
        }
        let body = self.data.map_or("null", RawValue::get);
        let bytes = body.len() as u64 + attributes.iter().map(Attribute::bytes).sum::<u64>();
        let most = limits.message_bytes(topic.config.message_bytes_max);
        if bytes > most {
            let text = format!("with name and attributes the message must have at most {most} bytes, found {bytes}");
            return Err(Problem::field("data", &text));
        }
        let by_content = is_fifo && topic.config.content_deduplication && self.deduplication_id.is_none();
        let deduplication = match &self.deduplication_id {
            Some(id) => Some(Deduplication::Id(id)),
            None => by_content.then_some(Deduplication::Content),
        };
        let dedup = match &self.deduplication_id {
            Some(id) => Some(id_hash(id)),
            None => by_content.then(|| content_hash(body.as_bytes())),
        };
        let uuid = random();
        let group_id = self.group.as_deref();
        // Subscriptions made over SNS may want an envelope around it.
        let topic_arn = TopicArn { region, namespace: topic.namespace, name: &topic.name }.to_string();
        let publication = Publication {
            topic_arn: &topic_arn,
            at_ms: now_ms(),
            signature_version: sns::topic::signature_version(topic),
            ..Publication::default()
        };
        let payload = Payload {
            uuid,
            group_id,
            deduplication,
            trace_header: None,
            attributes,
            body,
            is_json: true,
            publication: Some(Box::new(publication)),
        };
        let (payload, priority) = (payload.encode(), self.priority.unwrap_or_default());
        Ok(Outgoing { uuid, payload, bytes, priority, group: group_id.map(lane), dedup })
    }
}
