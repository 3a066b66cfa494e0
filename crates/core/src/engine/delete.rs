//! Settling by handle: which message a handle stands for, deleting it, and giving back what could not be handed over.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::finish::End;
use super::lease::proof;
use super::message::prepare_lane;
use super::send::within;
use super::{Answer, Engine, Stop, prepare_each};
use crate::api::{BATCH_MAX, Error, Handle, Kind, QueueId, Reply};
use crate::head::{Head, HeldPermits, State as Standing};
use crate::kv::{State, View};

/// The messages that left their queue by one command.
pub(super) type Gone = SmallVec<[u64; 4]>;

impl Engine {
    pub(super) fn delete<S: State>(&mut self, state: &mut S, id: QueueId, handles: &[Handle]) -> Result<Answer, Stop> {
        if let Err(error) = self.prepare_handles(state, id, handles.iter())? {
            return Ok(Err(error));
        }
        let mut settled = SmallVec::new();
        let mut gone = Gone::new();
        for handle in handles {
            settled.push(self.delete_one(state, id, handle, &mut gone)?);
        }
        Ok(Ok(Reply::Settled(settled)))
    }

    fn delete_one<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        handle: &Handle,
        gone: &mut Gone,
    ) -> Result<Result<(), Error>, Stop> {
        match self.find(state, id, handle, gone)? {
            Ok(head) if self.is_superseded(id, handle, &head) => Ok(Err(Error::LeaseExpired)),
            Ok(head) => {
                self.prepare_single(state, id, handle.message, &head, gone)?;
                self.acknowledge(state, id, handle.message, &head)?;
                gone.push(handle.message);
                Ok(Ok(()))
            }
            // Deleting twice is no error, so that a repeated request gets the first one's answer.
            Err(Error::MessageNotFound) => Ok(Ok(())),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Removes a message whose work is done, by other doors than the workers': nothing of it is kept.
    fn acknowledge<S: State>(&mut self, state: &mut S, id: QueueId, message: u64, head: &Head) -> Result<(), Stop> {
        if matches!(head.state, Standing::Completed | Standing::Failed) {
            return self.remove(state, id, message, head);
        }
        let spec = self.spec_of(state, id, message, head)?;
        let end = End::Completed(None);
        if let Some(spec) = &spec {
            self.tell_finished(state, id, message, spec, end)?;
        }
        self.ended(id, message, head, spec.as_ref(), Some(end));
        self.happened(id, message, || end.event());
        self.vanish(state, id, message, head).map(|_| ())
    }

    /// Reads what belongs to a job beside its head, where [`Engine::prepare_handles`] left that out: before anything is
    /// written.
    pub(super) fn prepare_single<S: View>(
        &self,
        state: &S,
        id: QueueId,
        message: u64,
        head: &Head,
        gone: &Gone,
    ) -> Result<(), Stop> {
        let reads = head.has_spec || head.shares || !head.permits.is_empty();
        if let (true, true, Some(queue)) = (reads, gone.is_empty(), self.queues.get(&id)) {
            self.prepare_message(state, queue.space, message, 0)?;
        }
        Ok(())
    }

    /// Makes messages ready again whose grant was never handed over. The fence stays, the receive is not counted. What was
    /// cancelled meanwhile does not run again.
    pub(super) fn give_back<S: State>(&mut self, state: &mut S, id: QueueId, handles: &[Handle]) -> Result<(), Stop> {
        if self.prepare_handles(state, id, handles.iter())?.is_err() {
            return Ok(());
        }
        let mut gone = Gone::new();
        for handle in handles {
            let Ok(head) = self.find(state, id, handle, &gone)? else { continue };
            if head.state == Standing::Leased && head.grants == handle.grant {
                // Several were prepared before any of them came back, which changes what else stands in their lane.
                if handles.len() == 1 {
                    self.prepare_single(state, id, handle.message, &head, &gone)?;
                }
                self.withdraw_permits(state, handle.message, head.priority, &head.permits)?;
                let leased = Head { permits: HeldPermits::new(), ..head };
                let receives = leased.receives.saturating_sub(1);
                let back = Head { receives, ..leased.clone() };
                if leased.cancel {
                    if self.end_cancelled(state, id, handle.message, &leased, back)?.is_none() {
                        gone.push(handle.message);
                    }
                    continue;
                }
                let ready = Head { state: Standing::Ready, ..back };
                self.restand(state, id, handle.message, &leased, &ready)?;
            }
        }
        Ok(())
    }

    /// Reads all that settling these handles by other doors than the workers' may read.
    pub(super) fn prepare_handles<'a, S: View>(
        &self,
        state: &S,
        id: QueueId,
        handles: impl ExactSizeIterator<Item = &'a Handle>,
    ) -> Result<Result<(), Error>, Stop> {
        let queue = match self.queue(id) {
            Ok(queue) => queue,
            Err(error) => return Ok(Err(error)),
        };
        // A standard queue's transitions of one message read nothing but its head, which the transition reads anyhow:
        // with a single entry that read comes before any write.
        if queue.public.kind == Kind::Standard && (handles.len() == 1 && queue.laned == 0) {
            return Ok(Ok(()));
        }
        self.prepare_all(state, id, handles)
    }

    /// Reads all that any transition of the messages of these handles may read.
    pub(super) fn prepare_all<'a, S: View>(
        &self,
        state: &S,
        id: QueueId,
        handles: impl ExactSizeIterator<Item = &'a Handle>,
    ) -> Result<Result<(), Error>, Stop> {
        let queue = match self.queue(id) {
            Ok(queue) => queue,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = within("entries of a command", BATCH_MAX as u64, handles.len() as u64) {
            return Ok(Err(error));
        }
        let ours = handles.filter(|handle| handle.space == queue.space.id);
        let mut lanes = BTreeMap::new();
        prepare_each(ours, |handle| {
            let head = self.prepare_message(state, queue.space, handle.message, 0)?;
            if let Some(lane) = head.and_then(|head| head.lane_on(queue.public.kind)) {
                *lanes.entry(lane).or_insert(0) += 1;
            }
            Ok(())
        })?;
        if queue.public.kind == Kind::Standard {
            // Older handles delete messages that wait, and so may take several from the front of a lane. For one the
            // message's own preparation did it.
            let several = lanes.into_iter().filter(|(_, count)| *count > 1);
            prepare_each(several, |(lane, count)| prepare_lane(state, queue, lane, count + 1))?;
        }
        Ok(Ok(()))
    }

    /// The message that a handle stands for. `gone` are those that left the queue by this very command: a store may
    /// have forgotten that they are not there.
    pub(super) fn find<S: View>(
        &self,
        state: &S,
        id: QueueId,
        handle: &Handle,
        gone: &Gone,
    ) -> Result<Result<Head, Error>, Stop> {
        let queue = match self.queue(id) {
            Ok(queue) => queue,
            Err(error) => return Ok(Err(error)),
        };
        if proof(queue, handle.space, handle.message, handle.grant) != handle.proof {
            return Ok(Err(Error::HandleInvalid));
        }
        if handle.space != queue.space.id || gone.contains(&handle.message) {
            return Ok(Err(Error::MessageNotFound));
        }
        match state.get(&queue.space.message(handle.message), 0)? {
            Some(bytes) => Ok(Ok(Head::read(bytes)?)),
            None => Ok(Err(Error::MessageNotFound)),
        }
    }

    /// Whether the handle has lost its right: on a FIFO queue with the end of its lease; on a standard queue never, as
    /// on AWS.
    fn is_superseded(&self, id: QueueId, handle: &Handle, head: &Head) -> bool {
        let fifo = self.queue(id).is_ok_and(|queue| queue.public.kind == Kind::Fifo);
        fifo && (head.grants != handle.grant || head.state != Standing::Leased || head.due <= self.now)
    }
}
