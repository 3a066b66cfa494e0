//! Moving messages that wait from one queue to another.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use super::message::prepare_lane;
use super::send::within;
use super::{Answer, Engine, Stop, prepare_each};
use crate::api::job::JobEventKind;
use crate::api::{Error, LIST_MAX, Lane, QueueId, Reply};
use crate::head::{Head, State as Standing};
use crate::kv::{State, View};

impl Engine {
    pub(super) fn move_messages<S: State>(
        &mut self,
        state: &mut S,
        from: QueueId,
        to: QueueId,
        ids: &[u64],
    ) -> Result<Answer, Stop> {
        let checked = self.can_move(from, to);
        if let Err(error) = checked.and(within("messages of a move", LIST_MAX as u64, ids.len() as u64)) {
            return Ok(Err(error));
        }
        let found = self.prepare_moves(state, from, ids.iter().map(|&id| (id, to)))?;
        let mut settled = SmallVec::new();
        let mut gone = SmallVec::<[u64; 8]>::new();
        for (&id, head) in ids.iter().zip(found) {
            settled.push(match head {
                None => Err(Error::MessageNotFound),
                Some(_) if gone.contains(&id) => Err(Error::MessageNotFound),
                Some(head) if head.state == Standing::Leased => Err(Error::MessageLeased),
                Some(head) if !matches!(head.state, Standing::Ready | Standing::Delayed) => {
                    Err(Error::JobState { state: head.state.of_job() })
                }
                Some(head) => {
                    self.move_message(state, from, to, id, &head)?;
                    gone.push(id);
                    Ok(())
                }
            });
        }
        Ok(Ok(Reply::Settled(settled)))
    }

    /// Whether messages may move between these queues.
    pub(super) fn can_move(&self, from: QueueId, to: QueueId) -> Result<(), Error> {
        let (source, target) = (self.queue(from)?, self.queue(to)?);
        if from == to {
            return Err(Error::SameQueue);
        }
        if source.public.kind == target.public.kind { Ok(()) } else { Err(Error::KindDiffers) }
    }

    /// Messages that are to move, each to a queue, having read all that moving those that wait reads.
    pub(super) fn prepare_moves<S: View>(
        &self,
        state: &S,
        from: QueueId,
        ways: impl Iterator<Item = (u64, QueueId)>,
    ) -> Result<Vec<Option<Head>>, Stop> {
        let mut heads = Vec::new();
        let mut leaving = BTreeMap::<Lane, usize>::new();
        let mut entering = BTreeSet::<(QueueId, Lane)>::new();
        let Some(from) = self.queues.get(&from) else { return Ok(heads) };
        prepare_each(ways, |(id, to)| {
            let head = match state.get(&from.space.message(id), 0)? {
                Some(bytes) => Some(Head::read(bytes)?),
                None => None,
            };
            if let Some(head) = &head {
                self.prepare_spec(state, from.space, id, head, Some(to), 0)?;
            }
            if let Some(lane) = head.as_ref().and_then(|head| head.lane) {
                *leaving.entry(lane).or_default() += 1;
                entering.insert((to, lane));
            }
            heads.push(head);
            Ok(())
        })?;
        let left = prepare_each(leaving.into_iter(), |(lane, count)| {
            // When all of them have left from its front, the lane is led by the one behind.
            prepare_lane(state, from, lane, count + 1)
        });
        let entered = prepare_each(entering.into_iter(), |(to, lane)| match self.queues.get(&to) {
            Some(to) => prepare_lane(state, to, lane, 0),
            None => Ok(()),
        });
        prepare_each([left, entered].into_iter(), |prepared| prepared)?;
        Ok(heads)
    }

    pub(super) fn move_message<S: State>(
        &mut self,
        state: &mut S,
        from: QueueId,
        to: QueueId,
        id: u64,
        head: &Head,
    ) -> Result<(), Stop> {
        let target = self.queues.get(&to).map(|queue| queue.public.name.as_str());
        let source = head.source.clone().filter(|source| Some(&**source) != target);
        let spec = self.spec_of(state, from, id, head)?;
        // Who waits for its end in this queue waits in vain.
        self.ended(from, id, head, spec.as_ref(), None);
        self.happened(from, id, || JobEventKind::Removed);
        self.carry(state, (from, to), id, head, Head { source, ..head.clone() })
    }
}
