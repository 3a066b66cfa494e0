//! Notes that the server keeps with a queue, each under a name of its own: JSON that says of which version it is. The engine
//! stores them, and knows nothing of them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use weir_core::api::Config;

/// A note that no version of ours wrote.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it is of version {0}, which this server does not know")]
    Version(u32),
    #[error("it cannot be read")]
    Broken(#[from] serde_json::Error),
}

/// The text of the note of this name, if there is one.
pub(crate) fn text<'a>(config: &'a Config, name: &str) -> Option<&'a str> {
    config.notes.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
}

/// The note of this name, if there is one.
pub(crate) fn read<N: DeserializeOwned>(config: &Config, name: &str, version: u32) -> Result<Option<N>, Unreadable> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Some(text) = text(config, name) else { return Ok(None) };
    let found = serde_json::from_str::<Versioned>(text)?.version;
    if found == version { Ok(Some(serde_json::from_str(text)?)) } else { Err(Unreadable::Version(found)) }
}

/// Writes a note down, in place of the one of its name.
pub(crate) fn put(config: &mut Config, name: &str, note: &impl Serialize) {
    remove(config, name);
    let text = serde_json::to_string(note).expect("texts and numbers are JSON");
    config.notes.push((name.to_owned(), text));
    config.notes.sort_unstable();
}

/// Takes a note out.
pub(crate) fn remove(config: &mut Config, name: &str) {
    config.notes.retain(|(known, _)| known != name);
}
