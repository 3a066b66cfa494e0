//! What may be set of a topic.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_core::api::topic::{Topic, TopicConfig};
use weir_core::api::{DEDUP_WINDOW_MS, DEDUP_WINDOW_MS_MAX, DedupScope, Kind};

use super::Problem;
use crate::native::bounds::LONGEST_MS;
use crate::native::endpoint::within;

/// What may be set of a topic. What is absent has its default.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "TopicSettings")]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicSettings {
    /// Whether a message without a deduplication id is identified by its data. FIFO topics only. Default `false`.
    content_deduplication: Option<bool>,
    /// Among which messages a deduplication id counts. FIFO topics only. Default `topic`.
    deduplication_scope: Option<ScopeView>,
    /// For how long it counts: from 1 second to 30 days. Default five minutes.
    deduplication_window_ms: Option<u64>,
    /// How long a message may be, with its attributes. Default: as long as the server takes.
    message_bytes_max: Option<u64>,
    /// How long messages are kept to be replayed; 0 for not at all, which is the default.
    archive_ms: Option<u64>,
    /// Names and values for your own use. Default: none.
    tags: Option<BTreeMap<String, String>>,
}

/// Among which messages a deduplication id counts.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "TopicDeduplicationScope")]
#[serde(rename_all = "snake_case")]
enum ScopeView {
    /// All messages of the topic.
    Topic,
    /// Those of the same group.
    Group,
}

/// What a topic has where nothing is said: as long as the server takes.
pub(super) const MESSAGE_BYTES_MAX: u64 = 1 << 20;

impl TopicSettings {
    /// The configuration that this asks for; what other doors keep with the topic stays.
    pub(super) fn config(&self, kind: Kind, before: Option<&TopicConfig>) -> Result<TopicConfig, Problem> {
        if kind == Kind::Standard {
            let given = [
                ("content_deduplication", self.content_deduplication.is_some()),
                ("deduplication_scope", self.deduplication_scope.is_some()),
                ("deduplication_window_ms", self.deduplication_window_ms.is_some()),
            ];
            if let Some((field, _)) = given.into_iter().find(|(_, given)| *given) {
                return Err(Problem::field(field, "only a FIFO topic, whose name ends in `.fifo`, knows duplicates"));
            }
        }
        let window_ms = self.deduplication_window_ms.unwrap_or(DEDUP_WINDOW_MS);
        let archive_ms = within("archive_ms", self.archive_ms.unwrap_or(0), 0, LONGEST_MS)?;
        let most = self.message_bytes_max.unwrap_or(MESSAGE_BYTES_MAX);
        Ok(TopicConfig {
            content_deduplication: self.content_deduplication.unwrap_or_default(),
            dedup_scope: match self.deduplication_scope {
                Some(ScopeView::Group) => DedupScope::Lane,
                Some(ScopeView::Topic) | None => DedupScope::Queue,
            },
            dedup_window_ms: within("deduplication_window_ms", window_ms, 1_000, DEDUP_WINDOW_MS_MAX)?,
            message_bytes_max: within("message_bytes_max", most, 1_024, 1 << 40)?,
            archive_ms: (archive_ms > 0).then_some(archive_ms),
            attributes: before.map(|before| before.attributes.clone()).unwrap_or_default(),
        })
    }

    pub(super) fn tags(&self) -> Result<BTreeMap<String, String>, Problem> {
        let tags = self.tags.clone().unwrap_or_default();
        within("tags", tags.len() as u64, 0, weir_aws::sqs::tags::TAGS_MAX as u64)?;
        Ok(tags)
    }

    pub(super) fn of(topic: &Topic) -> Self {
        let TopicConfig { content_deduplication, dedup_scope, dedup_window_ms, message_bytes_max, archive_ms, .. } =
            topic.config;
        let is_fifo = topic.kind == Kind::Fifo;
        let scope = match dedup_scope {
            DedupScope::Queue => ScopeView::Topic,
            DedupScope::Lane => ScopeView::Group,
        };
        Self {
            content_deduplication: is_fifo.then_some(content_deduplication),
            deduplication_scope: is_fifo.then_some(scope),
            deduplication_window_ms: is_fifo.then_some(dedup_window_ms),
            message_bytes_max: Some(message_bytes_max),
            archive_ms: Some(archive_ms.unwrap_or(0)),
            tags: Some(topic.tags.clone()),
        }
    }
}
