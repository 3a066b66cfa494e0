//! Deliberate faults of jobs that are dead letters.

use std::sync::Arc;

use weir_core::api::{Command, Error, Reply};

use super::Mutation;

const JOBS: &str = "jobs";

impl Mutation {
    /// Changes a command about dead letters on its way to the shard.
    pub(super) fn alter_dead_command(self, command: &mut Command) {
        match (self, command) {
            (
                Mutation::DeadJobThatStays,
                Command::CreateQueue { config, .. } | Command::ConfigureQueue { config, .. },
            ) => {
                config.redrive = config.redrive.take().filter(|redrive| !redrive.target.starts_with(JOBS));
            }
            (Mutation::MoveOfJobsThatIsLost, Command::Move { ids, .. }) => ids.fill(u64::MAX),
            _ => {}
        }
    }

    /// Makes an answer look as if the command had been carried out as it was sent.
    pub(super) fn alter_dead_reply(self, command: &Command, reply: &mut Result<Reply, Error>) {
        match (self, command, reply) {
            (Mutation::MoveOfJobsThatIsLost, Command::Move { .. }, Ok(Reply::Settled(settled))) => {
                for result in settled.iter_mut().filter(|result| **result == Err(Error::MessageNotFound)) {
                    *result = Ok(());
                }
            }
            (Mutation::DeadJobWithoutItsSource, _, Ok(Reply::Received(deliveries))) => {
                let of_jobs = |source: &Arc<str>| source.starts_with(JOBS);
                for delivery in deliveries {
                    delivery.dead_letter_source = delivery.dead_letter_source.take().filter(|source| !of_jobs(source));
                }
            }
            _ => {}
        }
    }
}
