//! Sources of functions: queues whose messages are handed to them in batches. The same that Lambda's clients know as event
//! source mappings.

mod list;
mod manage;
mod settings;
mod view;

pub(crate) use list::{List, ListOfFunction};
pub(crate) use manage::{Change, Delete, Get, Put};
