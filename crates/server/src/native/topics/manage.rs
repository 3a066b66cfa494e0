//! Topics themselves.

use rand::random;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_core::api::{Command, Error, Kind, NAME_BYTES_MAX, Reply as EngineReply};
use weir_shard::Refused;

use super::settings::TopicSettings;
use super::view::{TopicCountersView, TopicView};
use super::{Problem, TRIES};
use crate::access::Role;
use crate::engine::{self, Engine};
use crate::native::cursor;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome, within};
use crate::native::route::{Method, Route, Tag};

const NOT_FOUND: &[&str] = &["topic.not_found"];

/// `GET /v1/topics`
pub(crate) struct List;

/// Which topics are listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListTopics {
    /// What their names start with. Default: anything.
    prefix: Option<String>,
    /// How many at most, from 1 to 1 000. Default 100.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<u64>,
    /// Where the last page ended.
    cursor: Option<String>,
}

/// A page of topics, in the order of their names.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TopicPage {
    /// The topics.
    topics: Vec<TopicView>,
    /// For the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl Endpoint for List {
    const ROUTE: Route =
        Route::new(Method::Get, "/v1/topics", "list_topics", Tag::Topics, Role::Read, "Topics by name");
    type Query = ListTopics;
    type Request<'a> = Nothing;
    type Response = TopicPage;

    async fn run<E: Engine>(call: Call<'_, E>, query: ListTopics, _: Nothing) -> Outcome<TopicPage> {
        let limit = within("limit", query.limit.unwrap_or(100), 1, 1_000)? as usize;
        let after = query.cursor.as_deref().map(cursor::read).transpose()?;
        let prefix = query.prefix.as_deref().unwrap_or_default();
        let directory = call.app.engine.directory();
        let mut found = directory.topics(call.caller.namespace, prefix, after.as_deref(), limit + 1);
        let more = found.len() > limit;
        found.truncate(limit);
        let cursor = found.last().filter(|_| more).map(|topic| cursor::write(&topic.name));
        Ok(Answer::Of(TopicPage { topics: found.iter().map(|topic| TopicView::of(topic)).collect(), cursor }))
    }
}

/// `PUT /v1/topics/{topic}`
pub(crate) struct Put;

/// A topic that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PutTopic {
    /// Whether it is new.
    created: bool,
    /// The topic.
    topic: TopicView,
}

impl Endpoint for Put {
    const ROUTE: Route = Route::new(
        Method::Put,
        "/v1/topics/{topic}",
        "put_topic",
        Tag::Topics,
        Role::Admin,
        "Create a topic, or replace its settings",
    )
    .example(r#"{"archive_ms": 604800000}"#)
    .about(
        "A name that ends in `.fifo` makes a FIFO topic: it keeps the order within groups, and knows duplicates. What the \
         request does not name has its default afterwards; subscriptions stay. Repeating it changes nothing.",
    )
    .errors(&["topic.stale", "limit.exceeded"]);
    type Query = Nothing;
    type Request<'a> = TopicSettings;
    type Response = PutTopic;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, settings: TopicSettings) -> Outcome<PutTopic> {
        let name = call.params.get("topic").to_owned();
        if name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            let text = format!("must have from 1 to {NAME_BYTES_MAX} bytes and no control characters");
            return Err(Problem::field("topic", &format!("{text}, found {} bytes", name.len())));
        }
        let kind = if name.strip_suffix(".fifo").is_some() { Kind::Fifo } else { Kind::Standard };
        let (namespace, tags) = (call.caller.namespace, settings.tags()?);
        for _ in 0..TRIES {
            let known = call.app.engine.directory().topic(namespace, &name);
            let config = settings.config(kind, known.as_ref().map(|topic| &topic.config))?;
            let command = match &known {
                Some(topic) if topic.config == config => None,
                Some(topic) => Some(Command::ConfigureTopic { topic: topic.id, version: topic.version, config }),
                None => {
                    let (name, tags) = (name.clone(), tags.clone());
                    Some(Command::CreateTopic { namespace, name, kind, config, tags, seed: random() })
                }
            };
            let (topic, created) = match (command, known) {
                (Some(command), _) => match engine::call(&call.app.engine, command).await {
                    Ok(answered) => match answered.reply {
                        EngineReply::Topic { topic, created } => (topic, created),
                        _ => return Err(Problem::internal()),
                    },
                    // Somebody else was first.
                    Err(Refused::Engine(Error::TopicExists { .. } | Error::TopicStale { .. })) => continue,
                    Err(refused) => return Err(Problem::of(refused)),
                },
                (None, Some(topic)) => (topic, false),
                (None, None) => return Err(Problem::internal()),
            };
            let mut topic = topic;
            if topic.tags != tags {
                let remove = topic.tags.keys().filter(|key| !tags.contains_key(*key)).cloned().collect();
                let max = weir_aws::sqs::tags::TAGS_MAX as u64;
                match call.command(Command::TagTopic { topic: topic.id, remove, add: tags, max }).await? {
                    EngineReply::Topic { topic: tagged, .. } => topic = tagged,
                    _ => return Err(Problem::internal()),
                }
            }
            return Ok(Answer::Of(PutTopic { created, topic: TopicView::of(&topic) }));
        }
        Err(Problem::of_error(&Error::TopicStale { version: 0 }))
    }
}

/// `GET /v1/topics/{topic}`
pub(crate) struct Get;

/// A topic with its counters.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TopicState {
    /// The topic.
    topic: TopicView,
    /// What it did.
    counters: TopicCountersView,
}

impl Endpoint for Get {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/topics/{topic}",
        "get_topic",
        Tag::Topics,
        Role::Read,
        "A topic with its counters",
    )
    .errors(NOT_FOUND);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = TopicState;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<TopicState> {
        match call.command(Command::TopicStats { topic: call.topic()?.id }).await? {
            EngineReply::TopicStats { topic, counters, subscriptions } => Ok(Answer::Of(TopicState {
                topic: TopicView::of(&topic),
                counters: TopicCountersView::of(&counters, subscriptions),
            })),
            _ => Err(Problem::internal()),
        }
    }
}

/// `DELETE /v1/topics/{topic}`
pub(crate) struct Delete;

impl Endpoint for Delete {
    const ROUTE: Route = Route::new(
        Method::Delete,
        "/v1/topics/{topic}",
        "delete_topic",
        Tag::Topics,
        Role::Admin,
        "Delete a topic with its subscriptions and its archive",
    )
    .about("What was delivered to queues stays there.")
    .errors(NOT_FOUND);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<Nothing> {
        call.command(Command::DeleteTopic { topic: call.topic()?.id }).await?;
        Ok(Answer::Of(Nothing {}))
    }
}
