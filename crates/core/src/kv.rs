//! The ordered key space that the engine lives in: keys, batches of writes, and the view that it reads through.
//!
//! Keys are byte strings in lexicographic order, built of components that keep the order of what they encode.
//! The engine reads and writes through a [`State`] that its caller supplies, so nothing here does IO. A [`Batch`] is the
//! encoded form of a sequence of writes, as a log record stores it.

use std::ops::ControlFlow;

use smallvec::SmallVec;

/// A key. Hot keys are shorter than the inline capacity and allocate nothing.
pub type Key = SmallVec<[u8; 24]>;

/// A key being built, on the stack. Hot paths build several for each command, so it is written with copies of fixed
/// length only.
#[derive(Clone, Copy, Debug)]
pub struct KeyBuf {
    bytes: [u8; KeyBuf::BYTES_MAX],
    len: usize,
}

impl KeyBuf {
    /// Longest key that can be built: six numbers and two hashes.
    const BYTES_MAX: usize = 96;

    /// An empty key.
    pub fn new() -> Self {
        Self { bytes: [0; Self::BYTES_MAX], len: 0 }
    }

    /// Appends `n` so that encoded numbers sort as the numbers do: its length in bytes, then its bytes, most
    /// significant first, without leading zeros. Small numbers take one to three bytes.
    #[inline]
    #[must_use]
    pub fn number(mut self, n: u64) -> Self {
        let zeros = n.leading_zeros() as usize / 8;
        // Shifted so that the first byte that counts comes first; what follows the last one is overwritten or cut off.
        let digits = n.checked_shl(8 * zeros as u32).unwrap_or(0).to_be_bytes();
        self.place([(8 - zeros) as u8]);
        self.place(digits);
        self.len -= zeros;
        self
    }

    /// Appends a byte.
    #[inline]
    #[must_use]
    pub fn byte(mut self, byte: u8) -> Self {
        self.place([byte]);
        self
    }

    /// Appends a hash.
    #[inline]
    #[must_use]
    pub fn hash(mut self, hash: [u8; 16]) -> Self {
        self.place(hash);
        self
    }

    /// The key, to be kept.
    pub fn to_key(&self) -> Key {
        Key::from_slice(self)
    }

    #[inline]
    fn place<const N: usize>(&mut self, bytes: [u8; N]) {
        let room = self.bytes.get_mut(self.len..).and_then(|rest| rest.first_chunk_mut());
        *room.expect("no key has more components than the longest one") = bytes;
        self.len += N;
    }
}

impl Default for KeyBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl std::ops::Deref for KeyBuf {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Reads a number written by [`KeyBuf::number`], returning it and the rest; `None` where the bytes are not of that form.
pub fn split_ordered(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&len, rest) = bytes.split_first()?;
    if len > 8 {
        return None;
    }
    let (digits, rest) = rest.split_at_checked(usize::from(len))?;
    Some((digits.iter().fold(0, |n, &byte| n << 8 | u64::from(byte)), rest))
}

/// The smallest key that is greater than every key that starts with `prefix`; `None` if there is none (all 0xFF).
pub fn prefix_end(prefix: &[u8]) -> Option<Key> {
    let mut end = Key::from_slice(prefix);
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// The part of `key` that names its *family*: namespace, space and kind (see `keys`). The tables remember which
/// families they hold rows of, so that looking for a key of a family that was never checkpointed costs no read.
/// A key that is not of the usual form is a family of its own.
pub fn family(key: &[u8]) -> &[u8] {
    let component = |at: usize| key.get(at).map(|&len| at + 1 + usize::from(len));
    let end = component(0).and_then(component).map(|kind_at| match key.get(kind_at) {
        // These rows live and die by whole buckets, so the bucket belongs to the family.
        Some(&(crate::keys::DEDUP | crate::keys::ATTEMPT | crate::keys::IDEMPOTENCY)) => {
            component(kind_at + 1).unwrap_or(key.len())
        }
        _ => kind_at + 1,
    });
    key.get(..end.unwrap_or(key.len())).unwrap_or(key)
}

/// Whether the keys of a [`family`] are hashes of what callers name, most of which are asked for and not there: a store
/// does well to know of them what is absent.
pub fn is_hashed(family: &[u8]) -> bool {
    let component = |at: usize| family.get(at).map(|&len| at + 1 + usize::from(len));
    let kind = component(0).and_then(component).and_then(|kind_at| family.get(kind_at));
    matches!(
        kind,
        Some(
            &crate::keys::LANE
                | &crate::keys::DEDUP
                | &crate::keys::JOB_ID
                | &crate::keys::JOB_DEDUP
                | &crate::keys::LIMIT_KEY
                | &crate::keys::IDEMPOTENCY
        )
    )
}

const PUT: u8 = 1;
const PUT_BULK: u8 = 2;
const DELETE: u8 = 3;
const DELETE_RANGE: u8 = 4;
const PUT_REFERENCE: u8 = 5;

/// One write of a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// Sets `key` to `value`. The engine reads such values back, so they stay in memory until they are checkpointed.
    Put {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// Sets `key` to `value`, a message's body: the engine never reads it, so a store may keep its position only.
    PutBulk {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
        /// Where in the batch's bytes the value starts.
        at: usize,
    },
    /// Sets `key` to a body that the store keeps elsewhere.
    PutReference {
        /// The key.
        key: &'a [u8],
        /// Where, in a form of the store's own.
        reference: &'a [u8],
    },
    /// Removes `key`, which may not exist.
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// Removes every key from `from` (inclusive) to `to` (exclusive).
    DeleteRange {
        /// The first key that goes.
        from: &'a [u8],
        /// The first key that stays.
        to: &'a [u8],
    },
}

/// A sequence of writes, applied in order and all together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// A batch that appends to `bytes`, whose content must be a batch's.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.push(PUT);
        self.push_len(key.len());
        self.push_len(value.len());
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
    }

    /// Sets `key` to the concatenation of `parts`, a body that the engine will never read back.
    pub fn put_bulk(&mut self, key: &[u8], parts: &[&[u8]]) {
        self.bytes.push(PUT_BULK);
        self.push_len(key.len());
        self.push_len(parts.iter().map(|part| part.len()).sum());
        self.bytes.extend_from_slice(key);
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
    }

    /// Sets `key` to a body that the store keeps elsewhere, as `reference` tells.
    pub fn put_reference(&mut self, key: &[u8], reference: &[u8]) {
        self.bytes.push(PUT_REFERENCE);
        self.push_len(key.len());
        self.push_len(reference.len());
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(reference);
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: &[u8]) {
        self.bytes.push(DELETE);
        self.push_len(key.len());
        self.bytes.extend_from_slice(key);
    }

    /// Removes the keys from `from` (inclusive) to `to` (exclusive).
    pub fn delete_range(&mut self, from: &[u8], to: &[u8]) {
        self.bytes.push(DELETE_RANGE);
        self.push_len(from.len());
        self.push_len(to.len());
        self.bytes.extend_from_slice(from);
        self.bytes.extend_from_slice(to);
    }

    /// The encoded writes: what a log record holds.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The encoded writes, taken out.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Length of the encoded writes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Cuts the batch back to `len` bytes, a length that it had before: undoes the writes since.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Forgets all writes, keeping the allocation.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The writes in order.
    pub fn ops(&self) -> Ops<'_> {
        Ops::new(&self.bytes)
    }

    fn push_len(&mut self, len: usize) {
        let mut rest = u32::try_from(len).expect("a key or value is shorter than 4 GiB: bodies are bounded");
        while rest >= 0x80 {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
    }
}

/// Iterator over encoded writes. Ends with `Err` at the first byte that is not of the form a [`Batch`] writes.
#[derive(Clone, Debug)]
pub struct Ops<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Bytes that are no batch; `at` is the offset of the write that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a batch of writes: unreadable at byte {at}")]
pub struct Malformed {
    /// Offset in the batch's bytes.
    pub at: usize,
}

impl<'a> Ops<'a> {
    /// The writes that `bytes` encode.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The writes that `bytes` encode from offset `at` on; positions count from the start of `bytes`.
    pub fn from(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    fn length(&mut self) -> Option<usize> {
        let mut n = 0_usize;
        for shift in [0, 7, 14, 21, 28] {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            n |= usize::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(n);
            }
        }
        None
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }

    fn read(&mut self) -> Option<Op<'a>> {
        let tag = *self.bytes.get(self.at)?;
        self.at += 1;
        let first = self.length()?;
        let second = if tag == DELETE { 0 } else { self.length()? };
        let key = self.take(first)?;
        let at = self.at;
        let value = self.take(second)?;
        match tag {
            PUT => Some(Op::Put { key, value }),
            PUT_BULK => Some(Op::PutBulk { key, value, at }),
            PUT_REFERENCE => Some(Op::PutReference { key, reference: value }),
            DELETE => Some(Op::Delete { key }),
            DELETE_RANGE => Some(Op::DeleteRange { from: key, to: value }),
            _ => None,
        }
    }
}

impl<'a> Iterator for Ops<'a> {
    type Item = Result<Op<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let at = self.at;
        let op = self.read();
        if op.is_none() {
            self.at = self.bytes.len();
        }
        Some(op.ok_or(Malformed { at }))
    }
}

/// Rows that are not in memory: load them, then ask again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// First key wanted.
    pub from: Key,
    /// First key not wanted. A single key `k` is wanted as `k` to `k` followed by a zero byte.
    pub to: Key,
    /// How many rows the asker expects to use next: at most so many need be loaded, from `from` on.
    pub rows: usize,
}

/// Is called with the key and the value of a row, and says whether to go on.
pub type RowVisitor<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// What the engine reads: the newest state, of which a part is in memory.
pub trait View {
    /// The value of `key`.
    ///
    /// # Errors
    /// [`Need`] when the row is not in memory. `ahead` is how many of the rows that follow the caller expects to ask
    /// for next (0 for none): a hint that makes walking through cold messages one load, not one each.
    fn get(&self, key: &[u8], ahead: usize) -> Result<Option<&[u8]>, Need>;

    /// Calls `row` with the keys and values from `from` (inclusive) to `to` (exclusive) in order, until it breaks.
    /// The value of a bulk row is given as empty.
    ///
    /// # Errors
    /// [`Need`] when the walk comes to rows that are not in memory; `row` was called for those before.
    fn scan(&self, from: &[u8], to: &[u8], row: RowVisitor<'_>) -> Result<(), Need>;
}

/// What the engine reads and writes: a write is seen by every later read, at once.
///
/// Writes cannot fail and cannot be taken back one by one: a handler does all its reads that may [`Need`] rows before
/// its first write. Whoever supplies the state makes the writes durable, in order, and discards state and engine
/// together when it cannot.
pub trait State: View {
    /// Sets `key` to `value`.
    fn put(&mut self, key: &[u8], value: &[u8]);

    /// Sets `key`, which the caller knows to be absent, to `value`. A store that hears this needs no tombstone when the
    /// key is deleted before it was checkpointed: nothing older lies beneath it, save what a tombstone of the same layer
    /// already hides. Most messages are born and die so, and leave no trace.
    fn insert(&mut self, key: &[u8], value: &[u8]);

    /// Sets `key`, which the caller knows to be absent, to the concatenation of `parts`, a body that the engine never
    /// reads back.
    fn insert_bulk(&mut self, key: &[u8], parts: &[&[u8]]);

    /// Removes `key`, which may not exist.
    fn delete(&mut self, key: &[u8]);

    /// Removes the keys from `from` (inclusive) to `to` (exclusive).
    fn delete_range(&mut self, from: &[u8], to: &[u8]);
}
