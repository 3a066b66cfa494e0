//! Reading the body of a request: bounded in length, in time, and together with all others.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use tokio::time::{Instant, timeout_at};

use crate::config::Config;

/// Why a body was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It is longer than the server reads.
    TooLarge,
    /// It came too slowly.
    TooSlow,
    /// It ended before its end, or was not of the form of HTTP.
    Broken,
    /// All unfinished bodies together take too much.
    TooMany,
}

/// Reads a body whole. A short one that has arrived with its headers, the usual case, is not copied.
pub(crate) async fn read(mut body: Incoming, config: &Config, total: &AtomicUsize) -> Result<Bytes, Unread> {
    let announced = body.size_hint();
    if announced.lower() > config.body_bytes_max as u64 {
        return Err(Unread::TooLarge);
    }
    let first = match next(&mut body, config, None).await? {
        None => return Ok(Bytes::new()),
        Some(first) if body.is_end_stream() => return bounded(first, config),
        Some(first) => first,
    };
    let started = Instant::now();
    let mut held = Held { total, bytes: 0 };
    let mut whole = BytesMut::new();
    held.grow(first.len(), config)?;
    whole.extend_from_slice(&first);
    while let Some(part) = next(&mut body, config, Some(started)).await? {
        if whole.len() + part.len() > config.body_bytes_max {
            return Err(Unread::TooLarge);
        }
        held.grow(part.len(), config)?;
        whole.extend_from_slice(&part);
        if body.is_end_stream() {
            break;
        }
    }
    Ok(whole.freeze())
}

fn bounded(body: Bytes, config: &Config) -> Result<Bytes, Unread> {
    if body.len() > config.body_bytes_max { Err(Unread::TooLarge) } else { Ok(body) }
}

/// The next part of the body, if it comes in time.
async fn next(body: &mut Incoming, config: &Config, started: Option<Instant>) -> Result<Option<Bytes>, Unread> {
    loop {
        // A body that came with its headers, the usual case, needs neither a clock nor a timer.
        let at_once = if started.is_none() { at_once(body) } else { Poll::Pending };
        let frame = match at_once {
            Poll::Ready(frame) => Ok(frame),
            Poll::Pending => {
                let now = Instant::now();
                let idle = now + config.body_idle_timeout;
                let deadline = idle.min(started.unwrap_or(now) + config.body_timeout);
                timeout_at(deadline, body.frame()).await
            }
        };
        match frame {
            Err(_) => return Err(Unread::TooSlow),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => return Err(Unread::Broken),
            Ok(Some(Ok(frame))) => {
                // Trailers are passed over; the loop ends with the body.
                if let Ok(part) = frame.into_data() {
                    return Ok(Some(part));
                }
            }
        }
    }
}

/// The next frame if it is there already.
fn at_once(body: &mut Incoming) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
    // Who finds nothing polls again with a waker that wakes.
    Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}

/// The share of an unfinished body in what all together may take.
struct Held<'a> {
    total: &'a AtomicUsize,
    bytes: usize,
}

impl Held<'_> {
    fn grow(&mut self, bytes: usize, config: &Config) -> Result<(), Unread> {
        let before = self.total.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if before + bytes > config.bodies_bytes_max { Err(Unread::TooMany) } else { Ok(()) }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
