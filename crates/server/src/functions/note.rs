//! A function as it is stored: a note with its queue.

use serde::{Deserialize, Serialize};
use weir_core::api::Config;

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
}

/// A note that no version of ours wrote.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the function is of version {0}, which this server does not know")]
    Version(u32),
    #[error("the function cannot be read")]
    Broken(#[from] serde_json::Error),
}

impl Note {
    pub(crate) fn new(description: String) -> Self {
        Self { version: VERSION, description }
    }

    /// Whether a queue is a function's.
    pub(crate) fn is_there(config: &Config) -> bool {
        config.notes.iter().any(|(name, _)| name == NAME)
    }

    /// The note of a queue, if it has one.
    pub(crate) fn of(config: &Config) -> Result<Option<Self>, Unreadable> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Some((_, text)) = config.notes.iter().find(|(name, _)| name == NAME) else { return Ok(None) };
        match serde_json::from_str::<Versioned>(text)?.version {
            VERSION => Ok(Some(serde_json::from_str(text)?)),
            other => Err(Unreadable::Version(other)),
        }
    }

    /// Writes it down in a configuration.
    pub(crate) fn put(&self, config: &mut Config) {
        config.notes.retain(|(name, _)| name != NAME);
        let text = serde_json::to_string(self).expect("texts and numbers are JSON");
        config.notes.push((NAME.to_owned(), text));
        config.notes.sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_read_as_it_was_stored_and_others_notes_stay() {
        let mut config = Config { notes: vec![("weir.push".to_owned(), "{}".to_owned())], ..Config::default() };
        assert!(Note::of(&config).unwrap().is_none() && !Note::is_there(&config));
        let note = Note::new("resizes".to_owned());
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
