//! A push target as it is stored: a note with its queue.

use serde::{Deserialize, Serialize};
use weir_core::api::Config;
use weir_push::Settings;

use crate::notes::{self, Unreadable};

/// The name of the note.
const NAME: &str = "weir.push";
/// The version of its form.
const VERSION: u32 = 1;

/// What is stored of a push target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    version: u32,
    /// Whether nothing is sent.
    pub(crate) paused: bool,
    /// The target, with its secrets.
    pub(crate) target: Settings,
}

impl Note {
    pub(crate) fn new(target: Settings, paused: bool) -> Self {
        Self { version: VERSION, paused, target }
    }

    /// The text of a queue's note, if it has one.
    pub(crate) fn text(config: &Config) -> Option<&str> {
        notes::text(config, NAME)
    }

    /// The note of a queue, if it has one.
    pub(crate) fn of(config: &Config) -> Result<Option<Self>, Unreadable> {
        notes::read(config, NAME, VERSION)
    }

    /// Writes it down in a configuration.
    pub(crate) fn put(&self, config: &mut Config) {
        notes::put(config, NAME, self);
    }

    /// Takes it out of a configuration.
    pub(crate) fn remove(config: &mut Config) {
        notes::remove(config, NAME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_as_it_was_stored_and_others_notes_stay() {
        let mut config = Config { notes: vec![("Policy".to_owned(), "{}".to_owned())], ..Config::default() };
        let json = r#"{"url": "http://a", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "breaker": null}"#;
        let note = Note::new(serde_json::from_str(json).unwrap(), true);
        note.put(&mut config);
        note.put(&mut config);
        assert_eq!(config.notes.len(), 2);
        assert_eq!(Note::of(&config).unwrap(), Some(note));
        Note::remove(&mut config);
        assert_eq!((Note::of(&config).unwrap(), config.notes.len()), (None, 1));
    }

    #[test]
    fn a_note_of_another_version_is_not_guessed_at() {
        let note = (NAME.to_owned(), r#"{"version": 2, "aim": {}}"#.to_owned());
        let config = Config { notes: vec![note], ..Config::default() };
        assert!(matches!(Note::of(&config), Err(Unreadable::Version(2))));
    }
}
