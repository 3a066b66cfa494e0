//! Answers and events on their way out: they wait for their state to be committed, and for payloads.

use std::collections::VecDeque;

use bytes::Bytes;
use rustc_hash::FxHashMap;
use weir_core::api::{Error, Event, Reply};
use weir_store::disk::Disk;
use weir_store::{Body, BodyLoad, Store, StoreError};

use super::LOADS_TOGETHER_MAX;
use super::lost::{self, Lost, Taker};
use crate::answer::{Answer, Answered, Refused, Respond};
use crate::directory::Directory;
use crate::work::{BodyWork, LoadedBody, Place};

/// Who is to be answered, and for which queue what is leased with the answer is taken.
#[derive(Debug)]
pub(super) struct Asked<R> {
    pub(super) responder: R,
    pub(super) taker: Option<Taker>,
}

/// What waits for its state to be committed.
#[derive(Debug)]
enum Held<R> {
    Answer { responder: R, answer: Answer },
    Event(Event),
}

/// An answer whose payloads are being loaded.
#[derive(Debug)]
struct Incomplete<R> {
    sequence: u64,
    asked: Asked<R>,
    reply: Reply,
    payloads: Vec<Payload>,
    missing: usize,
}

/// A payload that belongs to an answer.
#[derive(Debug)]
enum Payload {
    Awaited,
    Here(Bytes),
    Gone,
}

/// All that is on its way out.
#[derive(Debug)]
pub(super) struct Answers<D: Disk, R> {
    held: VecDeque<(u64, Held<R>)>,
    incomplete: FxHashMap<u64, Incomplete<R>>,
    /// Payloads that were not given out to be loaded yet, and whether others are.
    bodies: VecDeque<(Place, BodyLoad<D>)>,
    out: bool,
    last_ticket: u64,
    /// Messages that were to be delivered and whose payloads are gone.
    lost: Vec<Lost>,
}

impl<D: Disk, R: Respond> Default for Answers<D, R> {
    fn default() -> Self {
        Self {
            held: VecDeque::new(),
            incomplete: FxHashMap::default(),
            bodies: VecDeque::new(),
            out: false,
            last_ticket: 0,
            lost: Vec::new(),
        }
    }
}

impl<D: Disk, R: Respond> Answers<D, R> {
    /// Holds an event of the state with this sequence.
    pub(super) fn hold_event(&mut self, sequence: u64, event: Event) {
        self.held.push_back((sequence, Held::Event(event)));
    }

    /// Holds an answer that speaks of the state with this sequence, which is that of `store`. Returns how many payloads have
    /// to be loaded for it.
    pub(super) fn hold(
        &mut self,
        store: &Store<D>,
        sequence: u64,
        asked: Asked<R>,
        reply: Result<Reply, Error>,
    ) -> u64 {
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                let answer = Err(Refused::Engine(error));
                self.held.push_back((sequence, Held::Answer { responder: asked.responder, answer }));
                return 0;
            }
        };
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let mut missing = 0;
        let keys = reply.payload_keys();
        let payload = |(slot, key)| match store.body(key) {
            Body::Ready(payload) => Payload::Here(payload),
            Body::Load(load) => {
                missing += 1;
                self.bodies.push_back(((ticket, slot), load));
                Payload::Awaited
            }
            Body::Absent => Payload::Gone,
        };
        let payloads: Vec<Payload> = keys.into_iter().map(|key| &**key).enumerate().map(payload).collect();
        let whole = Incomplete { sequence, asked, reply, payloads, missing };
        if missing == 0 {
            let (responder, answered) = self.complete(whole);
            self.held.push_back((sequence, Held::Answer { responder, answer: Ok(answered) }));
        } else {
            self.incomplete.insert(ticket, whole);
        }
        missing as u64
    }

    /// Payloads to be loaded now.
    pub(super) fn poll(&mut self) -> Option<BodyWork<D>> {
        if self.bodies.is_empty() || self.out {
            return None;
        }
        self.out = true;
        let together = self.bodies.len().min(LOADS_TOGETHER_MAX);
        Some(BodyWork { loads: self.bodies.drain(..together).collect() })
    }

    /// Takes payloads in, and answers those who waited for nothing else.
    ///
    /// # Errors
    /// Those of a payload that could not be read.
    pub(super) fn loaded(
        &mut self,
        store: &Store<D>,
        committed: u64,
        loaded: Vec<LoadedBody>,
    ) -> Result<(), StoreError> {
        self.out = false;
        for LoadedBody { place, payload } in loaded {
            let payload = match payload {
                Ok(payload) => payload,
                Err(StoreError::Outdated) => match self.find_again(store, place) {
                    Body::Ready(payload) => Some(payload),
                    Body::Load(load) => {
                        self.bodies.push_back((place, load));
                        continue;
                    }
                    Body::Absent => None,
                },
                Err(error) => return Err(error),
            };
            self.fill(place, payload.map_or(Payload::Gone, Payload::Here));
            self.release_complete(place.0, committed);
        }
        Ok(())
    }

    /// Where a payload is now, if it is still wanted: one that was removed meanwhile went with its message.
    fn find_again(&self, store: &Store<D>, (ticket, slot): Place) -> Body<D> {
        let incomplete = self.incomplete.get(&ticket);
        let key = incomplete.and_then(|incomplete| incomplete.reply.payload_keys().get(slot).copied());
        key.map_or(Body::Absent, |key| store.body(key))
    }

    fn fill(&mut self, (ticket, slot): Place, payload: Payload) {
        if let Some(incomplete) = self.incomplete.get_mut(&ticket)
            && let Some(place @ Payload::Awaited) = incomplete.payloads.get_mut(slot)
        {
            *place = payload;
            incomplete.missing -= 1;
        }
    }

    /// Lets go of what speaks of committed state.
    pub(super) fn release(&mut self, committed: u64, directory: &Directory) {
        while let Some((_, held)) = self.held.pop_front_if(|(sequence, _)| *sequence <= committed) {
            match held {
                Held::Answer { responder, answer } => responder.respond(answer),
                Held::Event(event) => directory.record(&event),
            }
        }
    }

    /// Lets go of answers whose payloads came before their state was committed.
    pub(super) fn release_all_complete(&mut self, committed: u64) {
        let mut tickets: Vec<u64> = self.incomplete.keys().copied().collect();
        tickets.sort_unstable();
        for ticket in tickets {
            self.release_complete(ticket, committed);
        }
    }

    fn release_complete(&mut self, ticket: u64, committed: u64) {
        let ready = |incomplete: &Incomplete<R>| incomplete.missing == 0 && incomplete.sequence <= committed;
        if !self.incomplete.get(&ticket).is_some_and(ready) {
            return;
        }
        if let Some(complete) = self.incomplete.remove(&ticket) {
            let (responder, answered) = self.complete(complete);
            responder.respond(Ok(answered));
        }
    }

    /// The answer with all that there is of its payloads.
    fn complete(&mut self, complete: Incomplete<R>) -> (R, Answered) {
        let Incomplete { asked: Asked { responder, taker }, mut reply, payloads, .. } = complete;
        let payloads = payloads.into_iter().map(|payload| match payload {
            Payload::Here(payload) => Some(payload),
            Payload::Awaited | Payload::Gone => None,
        });
        let (payloads, handles) = lost::leave_out(&mut reply, payloads.collect());
        self.lost.extend(handles.into_iter().filter_map(|handle| Some(Lost { taker: taker?, handle })));
        (responder, Answered { reply, payloads })
    }

    /// Messages that were left out of answers since this was last asked.
    pub(super) fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }

    /// How many answers and events are held, or are incomplete.
    pub(super) fn len(&self) -> usize {
        self.held.len() + self.incomplete.len()
    }

    /// Whether nothing is on its way out, and nothing is to be done about what was left out.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0 && self.lost.is_empty()
    }

    /// Refuses everything.
    pub(super) fn refuse(&mut self, refused: &Refused) {
        self.bodies.clear();
        self.lost.clear();
        for (_, held) in self.held.drain(..) {
            if let Held::Answer { responder, .. } = held {
                responder.respond(Err(refused.clone()));
            }
        }
        for (_, incomplete) in self.incomplete.drain() {
            incomplete.asked.responder.respond(Err(refused.clone()));
        }
    }
}
