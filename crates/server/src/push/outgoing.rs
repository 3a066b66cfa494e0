//! The body of a request, which tells when it has left.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};
use smallvec::SmallVec;
use weir_core::api::{Handle, QueueId};

use crate::engine::{Fate, Granted, Undelivered};

/// The body of a request.
#[derive(Debug)]
pub(super) struct Outgoing(Option<Leaving>);

/// Its bytes. The HTTP library takes them by [`Buf::advance`] as it writes them to the connection: then the limiters of the
/// queue count its messages as started.
#[derive(Debug)]
pub(super) struct Leaving {
    bytes: Bytes,
    told: Option<Box<Told>>,
}

/// Whom to tell that they have left, and which messages.
type Told = (Undelivered, QueueId, SmallVec<[Handle; 1]>);

impl Outgoing {
    /// A body whose leaving nobody needs to know.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(Some(Leaving { bytes: bytes.into(), told: None }))
    }

    /// A body with messages of a queue that has limiters.
    pub(super) fn limited(
        bytes: Vec<u8>,
        undelivered: Undelivered,
        queue: QueueId,
        handles: SmallVec<[Handle; 1]>,
    ) -> Self {
        Self(Some(Leaving { bytes: bytes.into(), told: Some(Box::new((undelivered, queue, handles))) }))
    }
}

impl Outgoing {
    /// The same body, for another connection. Not with messages that limiters count: they count one start, and may not see
    /// two.
    pub(super) fn once_more(&self) -> Option<Self> {
        let leaving = self.0.as_ref().filter(|leaving| leaving.told.is_none())?;
        Some(Self(Some(Leaving { bytes: leaving.bytes.clone(), told: None })))
    }
}

impl Body for Outgoing {
    type Data = Leaving;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Leaving>, Infallible>>> {
        Poll::Ready(self.0.take().map(|leaving| Ok(Frame::data(leaving))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |leaving| leaving.bytes.len() as u64))
    }
}

impl Buf for Leaving {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if !self.bytes.has_remaining()
            && let Some((undelivered, queue, handles)) = self.told.take().map(|told| *told)
        {
            // Without a receiver the server has ended.
            let _ = undelivered.send((Granted::Messages(queue, handles), Fate::Left));
        }
    }
}
