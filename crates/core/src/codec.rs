//! How stored values are written: a version byte, then numbers of variable length and byte strings.
//!
//! Every value starts with the version of its form. A reader knows all versions up to its own and refuses a later one.

use smallvec::SmallVec;

use crate::time::Time;

/// A stored value that this program cannot read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// A later program wrote it.
    #[error("{what} has version {found}, and this program knows versions up to {known}")]
    Version {
        /// What was read.
        what: &'static str,
        /// Its version.
        found: u8,
        /// The latest known.
        known: u8,
    },
    /// Its bytes make no sense.
    #[error("{what} is damaged")]
    Damaged {
        /// What was read.
        what: &'static str,
    },
}

/// Writes one value.
#[derive(Debug)]
pub(crate) struct Writer(SmallVec<[u8; 96]>);

impl Writer {
    pub(crate) fn new(version: u8) -> Self {
        let mut bytes = SmallVec::new();
        bytes.push(version);
        Self(bytes)
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn number(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    pub(crate) fn time(&mut self, time: Time) {
        self.number(time.0);
    }

    pub(crate) fn fixed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn finish(&self) -> &[u8] {
        &self.0
    }
}

/// Reads one value.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    what: &'static str,
    version: u8,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads a value of the form `what`, whose versions are 1 to `known`.
    pub(crate) fn new(what: &'static str, bytes: &'a [u8], known: u8) -> Result<Self, Unreadable> {
        match bytes.split_first() {
            Some((&version, rest)) if (1..=known).contains(&version) => Ok(Self { what, version, rest }),
            Some((&found, _)) if found > known => Err(Unreadable::Version { what, found, known }),
            _ => Err(Unreadable::Damaged { what }),
        }
    }

    /// The version that the value was written in.
    pub(crate) fn version(&self) -> u8 {
        self.version
    }

    pub(crate) fn damaged(&self) -> Unreadable {
        Unreadable::Damaged { what: self.what }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Unreadable> {
        let (&byte, rest) = self.rest.split_first().ok_or_else(|| self.damaged())?;
        self.rest = rest;
        Ok(byte)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Unreadable> {
        let mut n = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(self.damaged())
    }

    pub(crate) fn small(&mut self) -> Result<u32, Unreadable> {
        u32::try_from(self.number()?).map_err(|_| self.damaged())
    }

    pub(crate) fn time(&mut self) -> Result<Time, Unreadable> {
        self.number().map(Time)
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(|| self.damaged())?;
        self.rest = rest;
        Ok(*bytes)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Unreadable> {
        let len = usize::try_from(self.number()?).map_err(|_| self.damaged())?;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or_else(|| self.damaged())?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Unreadable> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.damaged())
    }

    /// Ends the reading; bytes left over are damage.
    pub(crate) fn end(self) -> Result<(), Unreadable> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.damaged()) }
    }
}
