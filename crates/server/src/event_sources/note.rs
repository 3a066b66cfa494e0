//! The mappings of a queue as they are stored: a note with it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_aws::lambda::event_source::Settings;
use weir_core::api::{Config, Namespace, Queue};

use crate::engine::Engine;
use crate::notes::{self, Unreadable};

/// The name of the note.
const NAME: &str = "weir.event_sources";
/// The version of its form.
const VERSION: u32 = 1;

/// The mappings of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    version: u32,
    pub(crate) mappings: Vec<Mapping>,
}

/// A mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mapping {
    pub(crate) uuid: String,
    /// The name of the function.
    pub(crate) function: String,
    pub(crate) settings: Settings,
    pub(crate) modified_ms: u64,
}

/// Whether a queue has mappings.
pub(crate) fn is_there(config: &Config) -> bool {
    notes::text(config, NAME).is_some()
}

impl Note {
    /// The mappings of a queue.
    pub(crate) fn of(config: &Config) -> Result<Self, Unreadable> {
        let found = notes::read(config, NAME, VERSION)?;
        Ok(found.unwrap_or(Self { version: VERSION, mappings: Vec::new() }))
    }

    /// Writes them down in a configuration.
    pub(crate) fn put(&self, config: &mut Config) {
        if self.mappings.is_empty() {
            notes::remove(config, NAME);
        } else {
            notes::put(config, NAME, self);
        }
    }
}

/// All mappings of a namespace, in the order of their ids, with their queues. What cannot be read is left out, and told in
/// the log.
pub(crate) fn list<E: Engine>(engine: &E, namespace: Namespace) -> Vec<(Arc<Queue>, Mapping)> {
    let queues = engine.all().into_iter().filter(|queue| queue.namespace == namespace && is_there(&queue.config));
    let of = |queue: Arc<Queue>| match Note::of(&queue.config) {
        Ok(note) => note.mappings.into_iter().map(|mapping| (Arc::clone(&queue), mapping)).collect(),
        Err(error) => {
            tracing::error!(queue = queue.name, %error, "stored event source mappings cannot be read");
            Vec::new()
        }
    };
    let mut found: Vec<(Arc<Queue>, Mapping)> = queues.flat_map(of).collect();
    found.sort_by(|(_, a), (_, b)| a.uuid.cmp(&b.uuid));
    found
}

/// The mapping of this id, with its queue.
pub(crate) fn find<E: Engine>(engine: &E, namespace: Namespace, uuid: &str) -> Option<(Arc<Queue>, Mapping)> {
    list(engine, namespace).into_iter().find(|(_, mapping)| mapping.uuid == uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read_as_they_were_stored_and_leave_nothing_when_they_are_gone() {
        let mut config = Config::default();
        let mapping = |uuid: &str| Mapping {
            uuid: uuid.to_owned(),
            function: "f".to_owned(),
            settings: Settings { concurrency: Some(2), filters: vec!["{}".to_owned()], ..Settings::default() },
            modified_ms: 7,
        };
        let mut note = Note::of(&config).unwrap();
        assert!(note.mappings.is_empty() && !is_there(&config));
        note.mappings = vec![mapping("a"), mapping("b")];
        note.put(&mut config);
        assert_eq!(Note::of(&config).unwrap(), note);
        note.mappings.clear();
        note.put(&mut config);
        assert_eq!((is_there(&config), config), (false, Config::default()));
    }
}
