//! Extending leases, and ending them early.

use std::time::Duration;

use smallvec::SmallVec;

use super::delete::Gone;
use super::{Answer, Engine, Stop};
use crate::api::{Error, Handle, QueueId, Reply};
use crate::head::{Head, State as Standing};
use crate::kv::State;

impl Engine {
    pub(super) fn change_visibility<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        changes: &[(Handle, u64)],
    ) -> Result<Answer, Stop> {
        if let Err(error) = self.prepare_handles(state, id, changes.iter().map(|(handle, _)| handle))? {
            return Ok(Err(error));
        }
        let mut settled = SmallVec::new();
        let mut gone = Gone::new();
        if let [(handle, 0)] = changes
            && let Ok(head) = self.find(state, id, handle, &gone)?
        {
            self.prepare_single(state, id, handle.message, &head, &gone)?;
        }
        for (handle, visibility_ms) in changes {
            settled.push(self.change_one(state, id, handle, *visibility_ms, &mut gone)?);
        }
        Ok(Ok(Reply::Settled(settled)))
    }

    fn change_one<S: State>(
        &mut self,
        state: &mut S,
        id: QueueId,
        handle: &Handle,
        visibility_ms: u64,
        gone: &mut Gone,
    ) -> Result<Result<(), Error>, Stop> {
        let head = match self.find(state, id, handle, gone)? {
            Ok(head) => head,
            Err(error) => return Ok(Err(error)),
        };
        // A superseded holder may not touch the lease of its successor.
        if head.state != Standing::Leased || head.grants != handle.grant || head.due <= self.now {
            return Ok(Err(Error::NotLeased));
        }
        if visibility_ms == 0 {
            if head.cancel || self.queue(id).is_ok_and(|queue| self.dead_letter_queue(queue, &head).is_some()) {
                gone.push(handle.message);
            }
            self.release(state, id, handle.message, &head)?;
        } else {
            let due = self.now.after(Duration::from_millis(visibility_ms));
            let extended = Head { due, ..head.clone() };
            self.restand(state, id, handle.message, &head, &extended)?;
        }
        Ok(Ok(()))
    }
}
