//! What can go wrong in a store.

use std::io;
use std::sync::Arc;

use crate::log::Damage;

/// Why a step of an open store failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// `store.io`: the disk refused something else than a read or what the log must have.
    #[error("{what}")]
    Io {
        /// The operation and its object.
        what: String,
        /// The cause.
        #[source]
        source: Arc<io::Error>,
    },
    /// `store.unread`: a read failed. Nothing was written; it may be tried again.
    #[error("{what}")]
    Unread {
        /// What was to be read.
        what: String,
        /// The cause.
        #[source]
        source: Arc<io::Error>,
    },
    /// `store.outdated`: the state of an earlier checkpoint cannot be read any more, because the tables had to be opened
    /// again after a failure and hold a later one. Whoever asks anew is served from that.
    #[error("the tables were opened again after a failure and hold a later state")]
    Outdated,
    /// `store.disk_full`: no room for a segment or a checkpoint. Nothing was written.
    #[error("the disk is full: {what}")]
    DiskFull {
        /// What there was no room for.
        what: String,
    },
    /// `store.poisoned`: an earlier write or sync failed; nothing is accepted until the store is opened anew.
    #[error("storage is stopped since a failed write: {reason}")]
    Poisoned {
        /// The first failure.
        reason: String,
    },
    /// `store.fenced`: a newer owner writes the log.
    #[error("a newer owner writes the log (epoch {newer}, ours {ours})")]
    Fenced {
        /// Our epoch.
        ours: u64,
        /// The epoch found.
        newer: u64,
    },
    /// `store.damaged`: stored bytes are not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// `store.version_unknown`: written by a version of the format that this program does not know.
    #[error("{file} has format version {found}; this program knows up to {known}")]
    VersionUnknown {
        /// The file.
        file: String,
        /// Its version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// `store.tables`: the tables failed.
    #[error("tables: {what}")]
    Tables {
        /// What failed.
        what: String,
    },
}

impl StoreError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::Io { .. } => "store.io",
            StoreError::Unread { .. } => "store.unread",
            StoreError::Outdated => "store.outdated",
            StoreError::DiskFull { .. } => "store.disk_full",
            StoreError::Poisoned { .. } => "store.poisoned",
            StoreError::Fenced { .. } => "store.fenced",
            StoreError::Damaged(_) => "store.damaged",
            StoreError::VersionUnknown { .. } => "store.version_unknown",
            StoreError::Tables { .. } => "store.tables",
        }
    }

    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        let what = what.into();
        if is_full(&source) { StoreError::DiskFull { what } } else { StoreError::Io { what, source: Arc::new(source) } }
    }

    /// A read that failed.
    pub(crate) fn unread(what: impl Into<String>, source: io::Error) -> Self {
        StoreError::Unread { what: what.into(), source: Arc::new(source) }
    }

    /// A failure of the B-tree. What its file reported reaches us through it.
    pub(crate) fn tables(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<Damage>()) {
                Some(damage) => StoreError::Damaged(damage.clone()),
                None => StoreError::io("read or write the tables", error),
            },
            other => StoreError::Tables { what: other.to_string() },
        }
    }

    /// A file that could not be synced: what it holds is unknown, whatever the reason.
    pub(crate) fn unsynced(name: &str, error: &io::Error) -> Self {
        StoreError::Poisoned { reason: format!("sync {name}: {error}") }
    }

    /// A broken rule of ours.
    pub(crate) fn broken(what: impl Into<String>) -> Self {
        StoreError::Tables { what: what.into() }
    }
}

/// Why a directory cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// `store.locked`: another process has the directory open.
    #[error("the data directory is in use by another process")]
    Locked,
    /// `store.version_unknown`: written by a version of the format that this program does not know.
    #[error("{file} has format version {found}; this program knows up to {known}")]
    VersionUnknown {
        /// The file.
        file: String,
        /// Its version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// `store.damaged`: stored bytes are not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// Opening failed otherwise.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged(damage) => OpenError::Damaged(damage),
            StoreError::VersionUnknown { file, found, known } => OpenError::VersionUnknown { file, found, known },
            other => OpenError::Store(other),
        }
    }
}

impl OpenError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            OpenError::Locked => "store.locked",
            OpenError::VersionUnknown { .. } => "store.version_unknown",
            OpenError::Damaged(_) => "store.damaged",
            OpenError::Store(error) => error.code(),
        }
    }
}

/// Whether an error says that there is no room, as opposed to a device that fails.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
