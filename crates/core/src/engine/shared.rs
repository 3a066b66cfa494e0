//! The payload of a message: a row of its own, or that of its publication, which it shares with all others that were
//! delivered of it. A row counts who shares it, and the last one to go takes it along.

use super::Stop;
use crate::api::Namespace;
use crate::codec::{Reader, Unreadable, Writer};
use crate::head::Head;
use crate::keys;
use crate::kv::{KeyBuf, State, View};

const VERSION: u8 = 1;
const WHAT: &str = "how many share a payload";

/// Where the payload of a message stands.
pub(super) fn body(namespace: Namespace, message: u64, head: &Head) -> KeyBuf {
    keys::body(namespace, head.shared().unwrap_or(message))
}

/// Reads what [`drop_body`] reads.
pub(super) fn prepare<S: View>(state: &S, namespace: Namespace, head: &Head) -> Result<(), Stop> {
    if let Some(publication) = head.shared() {
        state.get(&keys::shared(namespace, publication), 0)?;
    }
    Ok(())
}

/// A message needs its payload no more.
pub(super) fn drop_body<S: State>(state: &mut S, namespace: Namespace, message: u64, head: &Head) -> Result<(), Stop> {
    if let Some(publication) = head.shared() {
        return release(state, namespace, publication);
    }
    state.delete(&keys::body(namespace, message));
    Ok(())
}

/// Stores a payload that so many share.
pub(super) fn share<S: State>(state: &mut S, namespace: Namespace, publication: u64, payload: &[u8], count: u64) {
    state.insert_bulk(&keys::body(namespace, publication), &[payload]);
    self::count(state, namespace, publication, count);
}

/// From now on so many share a payload that is stored already.
pub(super) fn count<S: State>(state: &mut S, namespace: Namespace, publication: u64, count: u64) {
    state.insert(&keys::shared(namespace, publication), write(count).finish());
}

/// So many more share a payload.
pub(super) fn join<S: State>(state: &mut S, namespace: Namespace, publication: u64, more: u64) -> Result<(), Stop> {
    let count = read(state, namespace, publication)?;
    state.put(&keys::shared(namespace, publication), write(count + more).finish());
    Ok(())
}

/// One of those that share the payload of a publication needs it no more.
pub(super) fn release<S: State>(state: &mut S, namespace: Namespace, publication: u64) -> Result<(), Stop> {
    let key = keys::shared(namespace, publication);
    match read(state, namespace, publication)? {
        0 | 1 => {
            state.delete(&key);
            state.delete(&keys::body(namespace, publication));
        }
        count => state.put(&key, write(count - 1).finish()),
    }
    Ok(())
}

fn read<S: View>(state: &S, namespace: Namespace, publication: u64) -> Result<u64, Stop> {
    let bytes = state.get(&keys::shared(namespace, publication), 0)?;
    let bytes = bytes.ok_or(Unreadable::Damaged { what: "a shared payload: nobody counts who shares it" })?;
    let mut reader = Reader::new(WHAT, bytes, VERSION)?;
    let count = reader.number()?;
    reader.end()?;
    Ok(count)
}

fn write(count: u64) -> Writer {
    let mut writer = Writer::new(VERSION);
    writer.number(count);
    writer
}
