//! Functions: making them, looking at them, calling them.

mod call;
mod list;
mod manage;
mod settings;
pub(super) mod sources;
mod view;

use std::sync::Arc;

use weir_core::api::Queue;

use super::Problem;
use super::endpoint;
use crate::engine::Engine;
use crate::functions::{self, Note};

pub(crate) use call::{Call, Enqueue};
pub(crate) use list::List;
pub(crate) use manage::{Delete, Get, Put};

impl<E: Engine> endpoint::Call<'_, E> {
    /// The function that the address names: its queue, and what is stored of it beside.
    fn function(&self) -> Result<(Arc<Queue>, Note), Problem> {
        functions::named(&self.app.engine, self.caller.namespace, self.params.get("function"))
    }
}
