//! Where links of a subscription over SNS lead: a note with its own queue.
//!
//! Whoever subscribed knew this server by a name; its endpoint is told links under that name, whatever moment it is told at.

use serde::{Deserialize, Serialize};
use weir_core::api::{Config, Queue};

use super::note::Note;
use crate::app::App;
use crate::engine::Engine;
use crate::notes;

/// The name of the note.
const NAME: &str = "weir.sns";
/// The version of its form.
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Links {
    version: u32,
    /// Scheme and host.
    base: String,
}

/// The note for a queue, under its name.
pub(crate) fn note(base: &str) -> (String, String) {
    let links = Links { version: VERSION, base: base.to_owned() };
    (NAME.to_owned(), serde_json::to_string(&links).expect("texts and numbers are JSON"))
}

/// Where links lead: as is configured, or as whoever subscribed knew this server, or where it listens.
pub(super) fn base<E: Engine>(app: &App<E>, config: &Config) -> String {
    let noted = || notes::read::<Links>(config, NAME, VERSION).ok().flatten().map(|links| links.base);
    let known = if app.config.public_url.is_some() { None } else { noted() };
    known.unwrap_or_else(|| app.base_url(None))
}

/// Whether a queue is that of a subscription of a URL that was made over SNS.
pub(crate) fn is_over_sns(queue: &Queue) -> bool {
    queue.subscription.is_some() && Note::text(&queue.config).is_none()
}
