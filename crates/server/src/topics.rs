//! Topics at the doors: which subscriptions a publication is for, handing it over, and carrying replays on.
//!
//! Filter policies are read here, on the threads of the connections. What is read of a topic is kept for as long as the
//! topic and its subscriptions stay as they are, and taken over where they change.

mod matcher;
mod publish;
mod replay;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use weir_core::api::topic::TopicId;
use weir_shard::TopicView;

pub(crate) use matcher::{Matcher, policy};
pub(crate) use publish::Outgoing;
pub(crate) use replay::{carry_on, carry_on_all};

/// Topics whose policies are kept. Past that all are forgotten, and read again when they are published to.
const KEPT_MAX: usize = 4_096;

/// The policies of topics, read.
#[derive(Debug, Default)]
pub(crate) struct Matchers(Mutex<HashMap<TopicId, Arc<Matcher>>>);

impl Matchers {
    /// Who is to be asked what of a topic goes where, as it is in `view`.
    pub(crate) fn of(&self, view: &Arc<TopicView>) -> Arc<Matcher> {
        let id = view.topic.id;
        let before = self.0.lock().get(&id).cloned();
        if let Some(known) = before.as_ref().filter(|known| known.revision() >= view.topic.revision) {
            return Arc::clone(known);
        }
        // Read without the lock: other topics do not wait.
        let matcher = Arc::new(Matcher::new(Arc::clone(view), before.as_deref()));
        let mut all = self.0.lock();
        if all.len() >= KEPT_MAX && !all.contains_key(&id) {
            all.clear();
        }
        all.insert(id, Arc::clone(&matcher));
        matcher
    }
}
