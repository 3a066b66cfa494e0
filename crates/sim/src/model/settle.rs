//! Messages deleted, released, extended and given back.

use weir_core::api::{Error, Handle, Kind, QueueId};

use super::{Checked, Hold, Message, Model};

impl Model {
    pub(super) fn deleted(
        &mut self,
        id: QueueId,
        handles: &[Handle],
        settled: &[Result<(), Error>],
        at: u64,
    ) -> Checked {
        if handles.len() != settled.len() {
            return Err("not one answer for each handle".to_owned());
        }
        let fifo = self.queue(id)?.kind == Kind::Fifo;
        for (handle, result) in handles.iter().zip(settled) {
            let Some((number, message)) = self.message_of(handle) else {
                self.check_stranger(handle, result)?;
                continue;
            };
            let live = Self::is_live(message, handle, at);
            let (certain, possible) = (self.certainly_in(message, id, at), self.possibly_in(message, id));
            match result {
                Ok(()) if fifo && certain && live == Some(false) => {
                    return Err(format!("message {number} was deleted by a handle whose lease had ended"));
                }
                Ok(()) if certain => {
                    self.messages.remove(&number);
                }
                Ok(()) if possible => self.doubt(number),
                Ok(()) => {}
                Err(Error::LeaseExpired) if fifo && live != Some(true) => {}
                Err(Error::LeaseExpired) if fifo && !certain => {}
                Err(Error::HandleInvalid) if !certain => {}
                Err(error) => return Err(format!("message {number} could not be deleted: {error}")),
            }
        }
        Ok(())
    }

    pub(super) fn visibility_changed(
        &mut self,
        id: QueueId,
        changes: &[(Handle, u64)],
        settled: &[Result<(), Error>],
        at: u64,
    ) -> Checked {
        if changes.len() != settled.len() {
            return Err("not one answer for each handle".to_owned());
        }
        for ((handle, length), result) in changes.iter().zip(settled) {
            let Some((number, message)) = self.message_of(handle) else {
                if result.is_ok() {
                    return Err("the lease of a message that is gone was changed".to_owned());
                }
                continue;
            };
            let live = Self::is_live(message, handle, at);
            let certain = self.certainly_in(message, id, at);
            match result {
                Ok(()) if live == Some(false) || !self.possibly_in(message, id) => {
                    return Err(format!("the lease of message {number} was changed after its end"));
                }
                Ok(()) => {
                    let message = self.messages.get_mut(&number).ok_or("a message that was just there is gone")?;
                    (message.hold, message.free) =
                        if *length == 0 { (Hold::Free, 0) } else { (Hold::Lease, at.saturating_add(*length)) };
                }
                Err(_) if live != Some(true) || !certain => {}
                Err(error) => return Err(format!("the lease of message {number} could not be changed: {error}")),
            }
        }
        Ok(())
    }

    pub(super) fn returned(&mut self, id: QueueId, handles: &[Handle], at: u64) {
        for handle in handles {
            let Some((number, message)) = self.message_of(handle) else { continue };
            if message.queue != id || message.fence != handle.grant || message.hold != Hold::Lease {
                continue;
            }
            // A lease that is over but was not noticed yet may still be given back.
            let certain = message.free > at && !message.maybe_returned;
            if let Some(message) = self.messages.get_mut(&number) {
                if certain {
                    message.hold = Hold::Free;
                    message.free = 0;
                    message.receives -= 1;
                } else {
                    message.maybe_returned = true;
                }
            }
        }
    }

    /// A command that gives a message back was parked: when it takes effect, if ever, is not known.
    pub fn maybe_returned(&mut self, handles: &[Handle]) {
        for handle in handles {
            let Some((number, message)) = self.message_of(handle) else { continue };
            if message.fence == handle.grant
                && let Some(message) = self.messages.get_mut(&number)
            {
                message.maybe_returned = true;
            }
        }
    }

    /// Whether the handle's lease is live at `at`, where that is certain.
    fn is_live(message: &Message, handle: &Handle, at: u64) -> Option<bool> {
        if message.fence != handle.grant || message.hold != Hold::Lease || message.free <= at {
            return Some(false);
        }
        if message.maybe_returned { None } else { Some(true) }
    }

    fn check_stranger(&self, handle: &Handle, result: &Result<(), Error>) -> Checked {
        match result {
            // The message is gone: a repeated deletion is answered as the first.
            Ok(()) if self.is_genuine(handle) || self.is_lost(handle) => Ok(()),
            Ok(()) => Err("a forged handle deleted something".to_owned()),
            Err(_) => Ok(()),
        }
    }

    pub(super) fn doubt(&mut self, number: usize) {
        if let Some(message) = self.messages.get_mut(&number) {
            message.doubtful = true;
        }
    }
}
