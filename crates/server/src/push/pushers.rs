//! All push targets: their tasks begin, change and end as their queues do.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use weir_core::api::{Event, Queue, QueueId};
use weir_push::network::Network;

use super::client::Shared;
use super::note::Note;
use super::pusher::{Pusher, Wanted};
use super::setup::Setup;
use super::shared::{Known, Status};
use crate::app::{App, stopped};
use crate::engine::Engine;

/// All push targets.
pub(crate) struct Pushers {
    pub(crate) shared: Shared,
    running: Mutex<HashMap<QueueId, Running>>,
    changes: mpsc::UnboundedSender<Arc<Queue>>,
}

/// A task.
struct Running {
    /// The note that it runs by, and whether its queue has limiters.
    text: String,
    limited: bool,
    wanted: watch::Sender<Wanted>,
    known: Arc<Known>,
}

/// Queues that were changed, or deleted.
pub(crate) type Changes = mpsc::UnboundedReceiver<Arc<Queue>>;

impl Pushers {
    pub(crate) fn new(allowed: Vec<Network>) -> (Self, Changes) {
        let (changes, told) = mpsc::unbounded_channel();
        (Self { shared: Shared::new(allowed), running: Mutex::default(), changes }, told)
    }

    /// Takes in what the engine tells. Called on its thread: does little.
    pub(crate) fn take(&self, event: &Event) {
        let (Event::QueueChanged(queue) | Event::QueueDeleted(queue)) = event else { return };
        if Note::text(&queue.config).is_some() || self.running.lock().contains_key(&queue.id) {
            // Without a receiver the server has ended.
            let _ = self.changes.send(Arc::clone(queue));
        }
    }

    /// How the target of a queue stands; nothing while none runs.
    pub(crate) fn status(&self, queue: QueueId) -> Option<Status> {
        self.running.lock().get(&queue).map(|running| running.known.status())
    }

    /// Runs the tasks until the server stops and what was under way has ended, or for as long as it waits for that.
    pub(crate) async fn run<E: Engine>(app: Arc<App<E>>, mut changes: Changes) {
        let mut tasks = JoinSet::new();
        let mut stopping = app.stopping.clone();
        for queue in app.engine.all() {
            if Note::text(&queue.config).is_some() {
                app.pushers.apply(&app, &queue, &mut tasks);
            }
        }
        loop {
            tokio::select! {
                Some(queue) = changes.recv() => {
                    // What happened meanwhile counts, and not what was told of it.
                    let now = app.engine.find(queue.namespace, &queue.name).filter(|now| now.id == queue.id);
                    match now {
                        Some(now) => app.pushers.apply(&app, &now, &mut tasks),
                        None => app.pushers.end(queue.id),
                    }
                }
                Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "the task of a push target broke off");
                    }
                }
                () = stopped(&mut stopping) => break,
            }
        }
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(app.config.stop_timeout, ended).await.is_err() {
            tracing::warn!("pushes were cut off that did not end in time: they are made again");
        }
        tasks.shutdown().await;
    }

    /// Has a queue's target run as its note says.
    fn apply<E: Engine>(&self, app: &Arc<App<E>>, queue: &Arc<Queue>, tasks: &mut JoinSet<()>) {
        let Some(text) = Note::text(&queue.config) else { return self.end(queue.id) };
        let limited = !queue.config.limiters.is_empty();
        let is_same = |running: &Running| running.text == text && running.limited == limited;
        if self.running.lock().get(&queue.id).is_some_and(is_same) {
            return;
        }
        // Made without the lock, which the engine's thread takes, too. Nobody else changes what runs.
        let made = Note::of(&queue.config).map_err(|error| error.to_string()).and_then(|note| {
            let note = note.ok_or_else(|| "there is none".to_owned())?;
            Setup::new(Arc::clone(queue), note, &app.config.region, &self.shared).map_err(|error| error.to_string())
        });
        let setup = match made {
            Ok(setup) => Arc::new(setup),
            Err(error) => {
                tracing::error!(queue = queue.name, error, "a stored push target cannot be used");
                return self.end(queue.id);
            }
        };
        let mut running = self.running.lock();
        if let Some(running) = running.get_mut(&queue.id) {
            text.clone_into(&mut running.text);
            running.limited = limited;
            running.wanted.send_replace(Wanted::Run(setup));
            return;
        }
        let known = Arc::new(Known::new(&setup.target.settings, setup.paused));
        let (wanted, wants) = watch::channel(Wanted::Run(Arc::clone(&setup)));
        running.insert(queue.id, Running { text: text.to_owned(), limited, wanted, known: Arc::clone(&known) });
        tasks.spawn(Pusher::new(Arc::clone(app), known, wants, setup).run());
    }

    /// Has the target of a queue end.
    fn end(&self, queue: QueueId) {
        if let Some(running) = self.running.lock().remove(&queue) {
            running.wanted.send_replace(Wanted::End);
        }
    }
}
