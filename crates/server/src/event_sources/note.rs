//! The mappings of a queue as they are stored: a note with it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_core::api::{Config, Namespace, Queue};

use super::settings::Settings;
use crate::engine::Engine;
use crate::notes::{self, Unreadable};

/// The name of the note.
const NAME: &str = "weir.event_sources";
/// The version of its form.
const VERSION: u32 = 2;
/// The version whose batches filled for whole seconds.
const VERSION_OF_SECONDS: u32 = 1;

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
        let found = match notes::read(config, NAME, VERSION) {
            Err(Unreadable::Version(VERSION_OF_SECONDS)) => {
                let old: Option<Value> = notes::read(config, NAME, VERSION_OF_SECONDS)?;
                old.map(|old| serde_json::from_value(of_seconds(old))).transpose()?
            }
            found => found?,
        };
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

/// A note of the present form, made of one whose settings have `window_s` for `wait_ms`.
fn of_seconds(mut note: Value) -> Value {
    for mapping in note.get_mut("mappings").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(settings) = mapping.get_mut("settings").and_then(Value::as_object_mut) else { continue };
        let window_s = settings.remove("window_s").and_then(|window_s| window_s.as_u64());
        settings.extend(window_s.map(|window_s| ("wait_ms".to_owned(), window_s.saturating_mul(1_000).into())));
    }
    if let Some(note) = note.as_object_mut() {
        note.insert("version".to_owned(), VERSION.into());
    }
    note
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

    #[test]
    fn mappings_that_were_stored_with_seconds_are_read() {
        let old = r#"{"version":1,"mappings":[{"uuid":"a","function":"f","settings":{"batch":50,"window_s":2,"reports":true,"enabled":false},"modified_ms":7}]}"#;
        let config = Config { notes: vec![(NAME.to_owned(), old.to_owned())], ..Config::default() };
        let note = Note::of(&config).unwrap();
        let settings = Settings { batch: 50, wait_ms: 2_000, reports: true, enabled: false, ..Settings::default() };
        let mapping = Mapping { uuid: "a".to_owned(), function: "f".to_owned(), settings, modified_ms: 7 };
        assert_eq!(note, Note { version: VERSION, mappings: vec![mapping] });
        let unknown = vec![(NAME.to_owned(), old.replace('1', "3"))];
        assert!(matches!(Note::of(&Config { notes: unknown, ..Config::default() }), Err(Unreadable::Version(3))));
    }
}
