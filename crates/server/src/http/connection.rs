//! What requests of one connection share: whether what they answer still reaches anyone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use smallvec::SmallVec;
use weir_core::api::{Handle, QueueId};

use crate::engine::Undelivered;

/// A connection.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    ended: AtomicBool,
}

impl Connection {
    /// Says that nothing more is written: what is dropped from now on was not sent.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// A body that hands messages over. Should the connection end before it is written, they return to their queue.
    pub(crate) fn delivering(
        self: &Arc<Self>,
        body: Vec<u8>,
        undelivered: &Undelivered,
        queue: QueueId,
        handles: SmallVec<[Handle; 1]>,
    ) -> Bytes {
        let connection = Arc::clone(self);
        Bytes::from_owner(Delivering { body, connection, undelivered: undelivered.clone(), queue, handles })
    }
}

/// The bytes of an answer with messages. The HTTP library drops them once they are written, or with the connection.
struct Delivering {
    body: Vec<u8>,
    connection: Arc<Connection>,
    undelivered: Undelivered,
    queue: QueueId,
    handles: SmallVec<[Handle; 1]>,
}

impl AsRef<[u8]> for Delivering {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for Delivering {
    fn drop(&mut self) {
        if self.connection.ended.load(Ordering::Acquire) {
            let _ = self.undelivered.send((self.queue, std::mem::take(&mut self.handles)));
        }
    }
}
