//! The row of a permit that a program outside holds.

use crate::api::Namespace;
use crate::api::limit::{LimiterId, PermitId};
use crate::codec::{Reader, Unreadable, Writer};
use crate::engine::Stop;
use crate::head::{HeldPermit, HeldPermits, read_key, write_key};
use crate::keys;
use crate::kv::View;
use crate::time::Time;

const VERSION: u8 = 1;
const WHAT: &str = "a permit";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PermitRecord {
    pub(super) held: HeldPermit,
    pub(super) priority: u32,
    /// When it ends by itself.
    pub(super) until: Time,
}

impl PermitRecord {
    pub(super) fn write(&self) -> Writer {
        let mut writer = Writer::new(VERSION);
        write_key(&mut writer, self.held.key);
        writer.number(self.held.seq);
        writer.number(u64::from(self.held.cost));
        writer.number(u64::from(self.priority));
        writer.time(self.until);
        writer
    }

    fn read(limiter: LimiterId, bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(WHAT, bytes, VERSION)?;
        let held = HeldPermit { limiter, key: read_key(&mut reader)?, seq: reader.number()?, cost: reader.small()? };
        let record = Self { held, priority: reader.small()?, until: reader.time()? };
        reader.end()?;
        Ok(record)
    }

    pub(super) fn find<S: View>(
        state: &S,
        namespace: Namespace,
        limiter: LimiterId,
        permit: PermitId,
    ) -> Result<Option<Self>, Stop> {
        match state.get(&keys::permit(namespace, limiter, permit.0), 0)? {
            Some(bytes) => Ok(Some(Self::read(limiter, bytes)?)),
            None => Ok(None),
        }
    }

    pub(super) fn permits(&self) -> HeldPermits {
        HeldPermits::from_iter([self.held])
    }
}
