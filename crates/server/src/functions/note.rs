//! A function as it is stored: a note with its queue.

use serde::{Deserialize, Serialize};
use weir_core::api::Config;

use crate::notes::{self, Unreadable};

/// The name of the note.
const NAME: &str = "weir.function";
/// The version of its form.
const VERSION: u32 = 1;

/// What is stored of a function that its queue does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    version: u32,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    /// The command behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Command>,
}

/// A command behind a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Command {
    /// The program and its arguments.
    pub(crate) line: Vec<String>,
    /// How many processes run at once.
    pub(crate) concurrency: u32,
}

impl Note {
    pub(crate) fn new(description: String, command: Option<Command>) -> Self {
        Self { version: VERSION, description, command }
    }

    /// Whether a queue is a function's.
    pub(crate) fn is_there(config: &Config) -> bool {
        notes::text(config, NAME).is_some()
    }

    /// The note of a queue, if it has one.
    pub(crate) fn of(config: &Config) -> Result<Option<Self>, Unreadable> {
        notes::read(config, NAME, VERSION)
    }

    /// Writes it down in a configuration.
    pub(crate) fn put(&self, config: &mut Config) {
        notes::put(config, NAME, self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_read_as_it_was_stored_and_others_notes_stay() {
        let mut config = Config { notes: vec![("weir.push".to_owned(), "{}".to_owned())], ..Config::default() };
        assert!(Note::of(&config).unwrap().is_none() && !Note::is_there(&config));
        let note = Note::new("resizes".to_owned(), Some(Command { line: vec!["true".to_owned()], concurrency: 2 }));
        note.put(&mut config);
        note.put(&mut config);
        assert_eq!(config.notes.len(), 2);
        assert_eq!(Note::of(&config).unwrap(), Some(note));
    }

    #[test]
    fn a_note_of_another_version_is_not_guessed_at() {
        let note = (NAME.to_owned(), r#"{"version": 2}"#.to_owned());
        let config = Config { notes: vec![note], ..Config::default() };
        assert!(matches!(Note::of(&config), Err(Unreadable::Version(2))));
    }
}
