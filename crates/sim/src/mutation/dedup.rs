//! Deliberate faults of deduplication.

use weir_core::api::{Command, Error, Reply};

use super::Mutation;

impl Mutation {
    /// Changes a command about deduplication on its way to the shard.
    pub(super) fn alter_dedup_command(self, command: &mut Command) {
        match command {
            Command::AddJobs { jobs, .. } => {
                for options in jobs.iter_mut().filter_map(|job| job.message.options.as_mut()) {
                    if self == Mutation::DedupOfJobsIgnored {
                        options.dedup = None;
                    }
                    let Some(dedup) = &mut options.dedup else { continue };
                    match self {
                        Mutation::DedupThatEndsWithItsJob => dedup.ttl_ms = None,
                        Mutation::ExtensionThatIsLost => dedup.extend = false,
                        Mutation::ReplacementThatIsLost => dedup.replace = false,
                        Mutation::ReschedulingThatIsLost => dedup.reschedule = false,
                        Mutation::KeptBackThatIsLost => dedup.keep_last_if_active = false,
                        _ => {}
                    }
                }
            }
            Command::ForgetDedup { hash, .. } if self == Mutation::FreedIdThatStays => *hash = [0xFF; 16],
            _ => {}
        }
    }

    /// Makes an answer look as if the command had been carried out as it was sent.
    pub(super) fn alter_dedup_reply(self, command: &Command, reply: &mut Result<Reply, Error>) {
        if let (Mutation::FreedIdThatStays, Command::ForgetDedup { .. }) = (self, command) {
            *reply = Ok(Reply::Done);
        }
    }
}
