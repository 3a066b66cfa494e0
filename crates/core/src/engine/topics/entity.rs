//! The life of a topic: creating, configuring, tagging, deleting, and looking at it.

use std::sync::Arc;

use super::super::send::within;
use super::super::{Answer, Engine};
use crate::api::topic::{TOPICS_MAX, Topic, TopicConfig, TopicId};
use crate::api::{DEDUP_WINDOW_MS_MAX, Error, Event, Kind, NAME_BYTES_MAX, Namespace, Output, Reply, Tags};
use crate::codec::Unreadable;
use crate::keys::{self, Space};
use crate::kv::State;
use crate::topic::TopicState;

/// Revisions of one opening are not those of another.
const REVISIONS_OF_AN_OPENING: u32 = 32;

impl Engine {
    #[expect(clippy::too_many_arguments, reason = "the fields of one command")]
    pub(in crate::engine) fn create_topic<S: State>(
        &mut self,
        state: &mut S,
        namespace: Namespace,
        name: &str,
        kind: Kind,
        config: &TopicConfig,
        tags: &Tags,
        seed: [u8; 16],
        out: &mut Output,
    ) -> Answer {
        if let Some(id) = self.topics.names.get(&namespace).and_then(|names| names.get(name)) {
            let topic = Arc::clone(&self.topics.topic(*id)?.public);
            return match difference(&topic, kind, config) {
                None => Ok(Reply::Topic { topic, created: false }),
                Some(field) => Err(Error::TopicExists { field: field.to_owned() }),
            };
        }
        within("bytes of a topic's name", NAME_BYTES_MAX as u64, name.len() as u64)?;
        within("topics of a shard", TOPICS_MAX as u64, self.topics.by_id.len() as u64 + 1)?;
        check(config)?;
        let id = TopicId(self.new_id());
        let space = Space { namespace, id: self.new_id() };
        let public = Arc::new(Topic {
            id,
            namespace,
            name: name.to_owned(),
            kind,
            config: config.clone(),
            version: 1,
            revision: self.first_revision(),
            created_at: self.now,
            modified_at: self.now,
            tags: tags.clone(),
        });
        let topic = TopicState::new(Arc::clone(&public), space, seed);
        state.insert(&keys::topic(namespace, id), topic.write().finish());
        self.add_topic(topic);
        self.topics.dirty.push(id);
        out.events.push(Event::TopicChanged(Arc::clone(&public)));
        Ok(Reply::Topic { topic: public, created: true })
    }

    pub(in crate::engine) fn read_topic(
        &mut self,
        namespace: Namespace,
        id: u64,
        bytes: &[u8],
    ) -> Result<(), Unreadable> {
        let topic = TopicState::read(namespace, TopicId(id), self.first_revision(), bytes)?;
        self.add_topic(topic);
        Ok(())
    }

    fn first_revision(&self) -> u64 {
        self.limits.opening << REVISIONS_OF_AN_OPENING | 1
    }

    fn add_topic(&mut self, topic: TopicState) {
        let Topic { id, namespace, ref name, .. } = *topic.public;
        if topic.deleted {
            self.topics.leaving.insert(id);
        } else {
            self.topics.names.entry(namespace).or_default().insert(name.clone(), id);
        }
        self.topics.by_id.insert(id, topic);
    }

    pub(in crate::engine) fn configure_topic<S: State>(
        &mut self,
        state: &mut S,
        id: TopicId,
        version: u64,
        config: &TopicConfig,
        out: &mut Output,
    ) -> Answer {
        let topic = self.topics.topic(id)?;
        if topic.public.version != version {
            return Err(Error::TopicStale { version: topic.public.version });
        }
        check(config)?;
        let now = self.now;
        let public =
            Topic { config: config.clone(), version: version + 1, modified_at: now, ..(*topic.public).clone() };
        let topic = self.put_topic(state, id, public, out);
        self.topics.look_at(id);
        topic
    }

    pub(in crate::engine) fn tag_topic<S: State>(
        &mut self,
        state: &mut S,
        id: TopicId,
        remove: &[String],
        add: &Tags,
        max: u64,
        out: &mut Output,
    ) -> Answer {
        let topic = self.topics.topic(id)?;
        let mut tags = topic.public.tags.clone();
        tags.retain(|key, _| !remove.contains(key));
        let kept = tags.len();
        tags.extend(add.iter().map(|(key, value)| (key.clone(), value.clone())));
        // Who only takes tags away, or changes values, is not refused for there being too many.
        if tags.len() > kept {
            within("tags of a topic", max, tags.len() as u64)?;
        }
        if tags == topic.public.tags {
            return Ok(Reply::Topic { topic: Arc::clone(&topic.public), created: false });
        }
        let public = Topic { tags, ..(*topic.public).clone() };
        self.put_topic(state, id, public, out)
    }

    fn put_topic<S: State>(&mut self, state: &mut S, id: TopicId, public: Topic, out: &mut Output) -> Answer {
        let topic = self.topics.by_id.get_mut(&id).ok_or(Error::TopicNotFound)?;
        topic.public = Arc::new(public);
        state.put(&keys::topic(topic.space.namespace, id), topic.write().finish());
        self.topics.changed(id, out);
        Ok(Reply::Topic { topic: Arc::clone(&self.topics.topic(id)?.public), created: false })
    }

    /// The topic is gone at once; what belongs to it goes in slices.
    pub(in crate::engine) fn delete_topic<S: State>(&mut self, state: &mut S, id: TopicId, out: &mut Output) -> Answer {
        self.topics.topic(id)?;
        let topic = self.topics.by_id.get_mut(&id).ok_or(Error::TopicNotFound)?;
        topic.deleted = true;
        let public = Arc::clone(&topic.public);
        state.put(&keys::topic(public.namespace, id), topic.write().finish());
        if let Some(names) = self.topics.names.get_mut(&public.namespace) {
            names.remove(&public.name);
        }
        self.topics.leaving.insert(id);
        out.events.push(Event::TopicDeleted(public));
        Ok(Reply::Done)
    }

    pub(in crate::engine) fn topic_stats(&self, id: TopicId) -> Answer {
        let topic = self.topics.topic(id)?;
        let subscriptions = (topic.subscriptions.len() as u64, topic.pending);
        Ok(Reply::TopicStats { topic: Arc::clone(&topic.public), counters: topic.counters, subscriptions })
    }
}

fn check(config: &TopicConfig) -> Result<(), Error> {
    if config.archive_ms == Some(0) {
        return Err(Error::Invalid { field: "archive", reason: "publications are kept for a millisecond at least" });
    }
    within("milliseconds of a deduplication window", DEDUP_WINDOW_MS_MAX, config.dedup_window_ms)
}

/// The first field in which a topic differs from what a command would create.
fn difference(topic: &Topic, kind: Kind, config: &TopicConfig) -> Option<&'static str> {
    let have = &topic.config;
    let fields = [
        ("kind", topic.kind != kind),
        ("content-based deduplication", have.content_deduplication != config.content_deduplication),
        ("deduplication scope", have.dedup_scope != config.dedup_scope),
        ("deduplication window", have.dedup_window_ms != config.dedup_window_ms),
        ("maximum message size", have.message_bytes_max != config.message_bytes_max),
        ("archive", have.archive_ms != config.archive_ms),
        ("further attributes", have.attributes != config.attributes),
    ];
    fields.into_iter().find_map(|(field, differs)| differs.then_some(field))
}
