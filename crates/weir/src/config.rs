//! Configuration: one typed tree, read from flags, then the environment, then a file, then defaults.
//!
//! The tree in [`tree`] is the only place that names a key. Flags, the names of environment variables, the reference
//! page, the sample file and the JSON schema are made from it.

mod access;
pub(crate) mod command;
mod durability;
pub(crate) mod duration;
mod environment;
mod file;
mod flags;
mod key;
mod kind;

mod nearest;
mod origin;
mod problem;
mod reference;
mod resolve;
mod sample;
mod schema;
mod secret;
mod show;
mod size;
mod tree;

pub(crate) use duration::parse as parse_duration;
pub(crate) use flags::Flags;
pub(crate) use problem::Problems;
pub(crate) use resolve::Resolved;
pub(crate) use tree::{Enforce, Functions, LogFormat, LogSettings, Settings};

/// Finds out what holds, by `flags` and the process's environment.
pub(crate) fn resolve(flags: &Flags) -> Result<Resolved, problem::Problems> {
    resolve::resolve(flags, &environment::Environment::of_process())
}

/// Whether a setting is called so.
#[cfg(test)]
pub(crate) fn is_setting(path: &str) -> bool {
    tree::keys().any(|key| key.path == path)
}

/// What files of the repository are made of.
#[cfg(test)]
pub(crate) mod generated {
    pub(crate) use super::reference::reference;
    pub(crate) use super::sample::sample;
    pub(crate) use super::schema::schema;
}
