//! The body of an answer, which knows whether it left.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::engine::{Fate, Granted, Undelivered};

/// The bytes of an answer. The HTTP library takes them by [`Buf::advance`] as it writes them to the connection; should it
/// drop them before, with the connection or with a stream of it that was reset, what they grant is given back: messages
/// return to their queue.
#[derive(Debug)]
pub(crate) struct Content {
    bytes: Bytes,
    delivery: Option<Box<Delivery>>,
}

/// Messages, or a permit, on their way to who asked for them.
#[derive(Debug)]
struct Delivery {
    undelivered: Undelivered,
    granted: Option<Granted>,
    /// Whether limiters are to be told when they have left.
    limited: bool,
}

impl Content {
    /// Bytes that hand something over.
    pub(crate) fn granting(body: Vec<u8>, undelivered: &Undelivered, granted: Granted, limited: bool) -> Self {
        let delivery = Delivery { undelivered: undelivered.clone(), granted: Some(granted), limited };
        Self { bytes: body.into(), delivery: Some(Box::new(delivery)) }
    }
}

impl<T: Into<Bytes>> From<T> for Content {
    fn from(bytes: T) -> Self {
        Self { bytes: bytes.into(), delivery: None }
    }
}

impl Buf for Content {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if !self.bytes.has_remaining()
            && let Some(delivery) = self.delivery.take()
        {
            delivery.arrived();
        }
    }
}

impl Delivery {
    fn arrived(mut self) {
        if let Some(granted) = self.granted.take().filter(|_| self.limited) {
            let _ = self.undelivered.send((granted, Fate::Left));
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(granted) = self.granted.take() {
            // Without a receiver the server has ended: leases then end by themselves.
            let _ = self.undelivered.send((granted, Fate::Lost));
        }
    }
}

/// The body of an answer: given to the HTTP library in one piece, or part by part as somebody sends them.
#[derive(Debug)]
pub(crate) struct Whole(Form);

#[derive(Debug)]
enum Form {
    Piece(Option<Content>),
    Parts(mpsc::Receiver<Bytes>),
}

impl Whole {
    pub(crate) fn new(content: Content) -> Self {
        Self(Form::Piece(Some(content).filter(Content::has_remaining)))
    }

    pub(crate) fn stream(parts: mpsc::Receiver<Bytes>) -> Self {
        Self(Form::Parts(parts))
    }
}

impl Body for Whole {
    type Data = Content;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Content>, Infallible>>> {
        let content = match &mut self.get_mut().0 {
            Form::Piece(content) => content.take(),
            Form::Parts(parts) => std::task::ready!(parts.poll_recv(cx)).map(Content::from),
        };
        Poll::Ready(content.map(|content| Ok(Frame::data(content))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Form::Piece(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Form::Piece(content) => {
                SizeHint::with_exact(content.as_ref().map_or(0, |content| content.remaining() as u64))
            }
            Form::Parts(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;
    use weir_core::api::limit::{LimiterId, PermitId};
    use weir_core::api::{Command, Handle, QueueId};

    use super::*;

    fn messages() -> Granted {
        Granted::Messages(QueueId(7), smallvec![Handle { space: 1, message: 2, grant: 3, proof: 4 }])
    }

    fn delivering(undelivered: &Undelivered, limited: bool) -> Content {
        Content::granting(b"body".to_vec(), undelivered, messages(), limited)
    }

    #[test]
    fn messages_return_unless_every_byte_of_them_left() {
        for (written, limited, told) in
            [(0, false, Some(Fate::Lost)), (3, true, Some(Fate::Lost)), (4, false, None), (4, true, Some(Fate::Left))]
        {
            let (undelivered, mut returns) = mpsc::unbounded_channel();
            let mut content = delivering(&undelivered, limited);
            content.advance(written);
            drop(content);
            let fate = returns.try_recv().ok().map(|(.., fate)| fate);
            assert_eq!(fate, told, "{written} bytes written");
            assert!(returns.try_recv().is_err(), "it is told once");
        }
    }

    #[test]
    fn messages_return_from_a_body_that_nobody_asked_for() {
        let (undelivered, mut returns) = mpsc::unbounded_channel();
        drop(Whole::new(delivering(&undelivered, true)));
        assert_eq!(returns.try_recv().unwrap(), (messages(), Fate::Lost));
        assert!(returns.try_recv().is_err(), "they return once");
    }

    #[test]
    fn the_limiter_of_a_permit_learns_what_became_of_it() {
        let (limiter, permit) = (LimiterId(3), PermitId(5));
        for (written, told) in
            [(4, Command::PermitReleased { limiter, permit }), (3, Command::PermitReturned { limiter, permit })]
        {
            let (undelivered, mut returns) = mpsc::unbounded_channel();
            let granted = Granted::Permit(limiter, permit);
            let mut content = Content::granting(b"body".to_vec(), &undelivered, granted, true);
            content.advance(written);
            drop(content);
            let (granted, fate) = returns.try_recv().unwrap();
            assert_eq!(format!("{:?}", granted.told(fate)), format!("{told:?}"));
        }
    }

    #[test]
    fn an_empty_answer_has_no_frames() {
        assert!(Whole::new(Content::from("")).is_end_stream());
        assert_eq!(Whole::new(Content::from("ab")).size_hint().exact(), Some(2));
    }
}
