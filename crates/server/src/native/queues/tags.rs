//! Tags of a queue, changed one by one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_aws::sqs::tags;
use weir_core::api::{Command, Reply as EngineReply};

use super::settings::checked_tags;
use super::{Problem, QueueView};
use crate::access::Role;
use crate::engine::Engine;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome};
use crate::native::route::{Method, Route, Tag};

/// `PATCH /v1/queues/{queue}/tags`
pub(crate) struct ChangeTags;

/// Tags by key: those with a value are set, those with `null` are taken away.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "TagChanges")]
#[serde(transparent)]
pub(crate) struct TagChanges(BTreeMap<String, Option<String>>);

impl Endpoint for ChangeTags {
    const ROUTE: Route = Route::new(
        Method::Patch,
        "/v1/queues/{queue}/tags",
        "change_queue_tags",
        Tag::Queues,
        Role::Admin,
        "Change tags of a queue one by one",
    )
    .example(r#"{"team": "mail", "trial": null}"#)
    .about("What the request does not name stays as it is, and requests that meet all take effect.")
    .errors(&["queue.not_found", "limit.exceeded"]);
    type Query = Nothing;
    type Request<'a> = TagChanges;
    type Response = QueueView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, TagChanges(changes): TagChanges) -> Outcome<QueueView> {
        let queue = call.queue()?;
        let (set, removed): (Vec<_>, Vec<_>) = changes.into_iter().partition(|(_, value)| value.is_some());
        let add = checked_tags(set.iter().map(|(key, value)| (key.as_str(), value.as_deref().unwrap_or_default())))?;
        let remove = removed.into_iter().map(|(key, _)| key).collect();
        let command = Command::TagQueue { queue: queue.id, remove, add, max: tags::TAGS_MAX as u64 };
        let EngineReply::Queue { queue, .. } = call.command(command).await? else { return Err(Problem::internal()) };
        call.view(&queue).await.map(Answer::Of)
    }
}
