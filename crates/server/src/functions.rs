//! Functions: names that answer calls.
//!
//! A function is a note of the queue of its name, and its calls are the jobs of that queue. So attempts, backoff, dead
//! letters and limiters are the queue's, and what stands behind it works as behind any queue: workers that pull, a URL
//! (another note: the push target), or both. What is here finds functions, adds calls and waits for what comes of them; the
//! native API and the door of AWS Lambda are on top of it.

mod call;
mod note;

use std::sync::Arc;

use weir_core::api::{Namespace, Queue};

use crate::engine::Engine;
use crate::native::Problem;
use crate::notes::Unreadable;

pub(crate) use call::{Called, Ended, Waited, add, look, wait};
pub(crate) use note::{Command, Note};

/// How many queues are looked at together.
const LOOKED_AT: usize = 1_000;

/// The function of this name: its queue, and what is stored of it beside. Nothing where there is no such queue, or where
/// that is no function's.
pub(crate) fn find<E: Engine>(
    engine: &E,
    namespace: Namespace,
    name: &str,
) -> Result<Option<(Arc<Queue>, Note)>, Unreadable> {
    let Some(queue) = engine.find(namespace, name) else { return Ok(None) };
    Ok(Note::of(&queue.config)?.map(|note| (queue, note)))
}

/// The same where it has to be there.
pub(crate) fn named<E: Engine>(engine: &E, namespace: Namespace, name: &str) -> Result<(Arc<Queue>, Note), Problem> {
    find(engine, namespace, name).map_err(|error| unreadable(name, &error))?.ok_or_else(|| Problem::no_function(name))
}

/// What is said of a function whose note cannot be read, once it is told in the log.
pub(crate) fn unreadable(name: &str, error: &Unreadable) -> Problem {
    tracing::error!(function = name, %error, "a stored function cannot be read");
    Problem::internal()
}

/// Up to `max` functions whose names start with `prefix`, in order, from the one after `after` on; and whether there are
/// more.
pub(crate) fn list<E: Engine>(
    engine: &E,
    namespace: Namespace,
    prefix: &str,
    after: Option<&str>,
    max: usize,
) -> (Vec<Arc<Queue>>, bool) {
    let mut found = Vec::new();
    let mut after = after.map(str::to_owned);
    loop {
        let queues = engine.list(namespace, prefix, after.as_deref(), LOOKED_AT);
        let is_last = queues.len() < LOOKED_AT;
        after = queues.last().map(|queue| queue.name.clone());
        found.extend(queues.into_iter().filter(|queue| Note::is_there(&queue.config)));
        if is_last || found.len() > max {
            let more = found.len() > max;
            found.truncate(max);
            return (found, more);
        }
    }
}
