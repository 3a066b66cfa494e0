//! Limiters: bounds on rate and concurrency with a name, for queues and for programs outside.

mod manage;
mod permits;
mod terms;

use std::sync::Arc;

use weir_aws::sqs::limit_key_hash;
use weir_core::api::limit::{LimitKey, Limiter};

use super::Problem;
use super::endpoint::Call;
use crate::engine::Engine;

pub(crate) use manage::{Delete, Get, GetKey, List, Pause, PauseKey, Put, Resume, ResumeKey};
pub(crate) use permits::{Acquire, Release, Settle};
pub(super) use terms::TermsView;

impl<E: Engine> Call<'_, E> {
    /// The limiter that the address names.
    fn limiter(&self) -> Result<Arc<Limiter>, Problem> {
        let name = self.params.get("limiter");
        let found = self.app.engine.limiter(self.caller.namespace, name);
        found.ok_or_else(|| Problem::new("limiter.not_found", &format!("there is no limiter called {name}")))
    }
}

/// The key that text stands for.
fn key_of(text: &str) -> LimitKey {
    LimitKey(limit_key_hash(text))
}
