//! The task of a mapping: it gathers batches and has them handed over, as many at once as it may.

use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::LastResult;
use super::batch::{hand_over, release};
use super::gather::{Gathered, Held, Setup, gather};
use super::settings::CONCURRENCY;
use crate::app::{App, stopped};
use crate::engine::Engine;
use crate::functions;

/// What a task is to do.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// To hand messages over as this says.
    Run(Arc<Setup>),
    /// To end once what is under way has ended.
    End,
}

/// The task of a mapping.
pub(super) struct Poller<E: Engine> {
    pub(super) app: Arc<App<E>>,
    pub(super) wanted: watch::Receiver<Wanted>,
    pub(super) setup: Arc<Setup>,
    pub(super) last: Arc<Mutex<LastResult>>,
}

type Gathering = Pin<Box<dyn Future<Output = (Arc<Setup>, Gathered)> + Send>>;

impl<E: Engine> Poller<E> {
    /// Runs until it is told to end, the server stops or the queue is gone; and what is under way has ended.
    pub(super) async fn run(mut self) {
        let mut stopping = self.app.stopping.clone();
        let mut gathering: Option<Gathering> = None;
        let mut flying: JoinSet<LastResult> = JoinSet::new();
        let mut ends = false;
        loop {
            if gathering.is_none() && !ends && self.may_begin(flying.len()) {
                gathering = Some(self.gather());
            }
            if ends && gathering.is_none() && flying.is_empty() {
                return;
            }
            tokio::select! {
                Some(landed) = flying.join_next(), if !flying.is_empty() => self.landed(landed),
                (setup, gathered) = async { gathering.as_mut().expect("the branch is only looked at while one gathers").await },
                    if gathering.is_some() => {
                    gathering = None;
                    match gathered {
                        Gathered::Batch(batch) => drop(flying.spawn(hand_over(Arc::clone(&self.app), setup, batch))),
                        Gathered::Cut(batch) => {
                            let handles = batch.iter().map(|held: &Held| held.handle).collect();
                            release(&self.app, &setup, handles).await;
                        }
                        Gathered::Gone => ends = true,
                    }
                }
                changed = self.wanted.changed(), if !ends => {
                    let wanted = self.wanted.borrow_and_update().clone();
                    match wanted {
                        // Who could want something is gone: so is the server.
                        _ if changed.is_err() => ends = true,
                        Wanted::Run(setup) => self.setup = setup,
                        Wanted::End => ends = true,
                    }
                }
                () = stopped(&mut stopping), if !ends => ends = true,
            }
        }
    }

    /// Whether another batch may be gathered. Where the function is not there the task waits to be told that it is.
    fn may_begin(&self, flying: usize) -> bool {
        let settings = &self.setup.mapping.settings;
        if !settings.enabled || flying >= settings.concurrency.unwrap_or(CONCURRENCY) as usize {
            return false;
        }
        let (namespace, name) = (self.setup.queue.namespace, &self.setup.mapping.function);
        let is_there = matches!(functions::find(&self.app.engine, namespace, name), Ok(Some(_)));
        let mut last = self.last.lock();
        match (is_there, &*last) {
            (false, _) => *last = LastResult::NoFunction,
            (true, LastResult::NoFunction) => *last = LastResult::Nothing,
            (true, _) => {}
        }
        is_there
    }

    fn gather(&self) -> Gathering {
        let (app, setup) = (Arc::clone(&self.app), Arc::clone(&self.setup));
        let (mut told, mut stopping) = (self.wanted.clone(), app.stopping.clone());
        Box::pin(async move {
            let cut = async move {
                tokio::select! {
                    _ = told.changed() => {}
                    () = stopped(&mut stopping) => {}
                }
            };
            let gathered = gather(&app, &setup, cut).await;
            (setup, gathered)
        })
    }

    fn landed(&self, landed: Result<LastResult, tokio::task::JoinError>) {
        match landed {
            Ok(LastResult::Nothing) => {}
            Ok(result) => *self.last.lock() = result,
            Err(error) => {
                // Its leases end by themselves.
                tracing::error!(queue = self.setup.queue.name, %error, "handing a batch to a function broke off");
            }
        }
    }
}
