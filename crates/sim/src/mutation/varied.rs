//! Deliberate faults of jobs in groups and in batches.

use weir_core::api::job::{Hold, Settlement};
use weir_core::api::{Command, Error, Lane, Reply};

use super::Mutation;

impl Mutation {
    /// Changes a command of jobs on its way to the shard.
    pub(super) fn alter_varied_command(self, command: &mut Command) {
        match (self, command) {
            (Mutation::JobGroupThatDoesNotBlock, Command::AddJobs { jobs, .. }) => {
                for job in jobs {
                    job.message.lane = job.message.lane.map(|Lane([group, ..])| {
                        let mut own = job.message.uuid;
                        own.iter_mut().take(1).for_each(|byte| *byte = group);
                        Lane(own)
                    });
                }
            }
            (Mutation::WorkersPauseThatIsIgnored, Command::Settle { entries, .. }) => {
                for (_, settlement) in entries {
                    if let Settlement::Release { pause: Some(pause), .. } = settlement {
                        pause.for_ms = 0;
                    }
                }
            }
            (Mutation::BatchThatDoesNotLinger, Command::Lease { linger_ms, .. }) => *linger_ms = 0,
            (Mutation::BatchThatLingersTooLong, Command::Lease { linger_ms, .. }) => *linger_ms *= 3,
            (Mutation::PermitReturnThatIsLost, Command::PermitReturned { permit, .. }) => permit.0 = u64::MAX,
            (Mutation::BatchOfSeveralGroups, Command::Lease { one_lane, .. }) => *one_lane = false,
            _ => {}
        }
    }

    /// Makes an answer look as if the command had been carried out as it was sent.
    pub(super) fn alter_varied_reply(self, _command: &Command, reply: &mut Result<Reply, Error>) {
        match (self, reply) {
            (Mutation::LogToldTooLong, Ok(Reply::Logs { total, .. })) => *total += 1,
            (Mutation::PageThatSkipsAJob, Ok(Reply::Jobs(page))) if !page.payloads => {
                page.jobs.pop();
            }
            // That a job is told with another group is not what is to be noticed.
            (Mutation::JobGroupThatDoesNotBlock, Ok(Reply::Job(job))) => {
                job.lane = job.lane.map(|Lane([group, ..])| Lane([group; 16]));
            }
            (Mutation::JobGroupThatDoesNotBlock, Ok(Reply::Jobs(page))) => {
                for job in &mut page.jobs {
                    job.lane = job.lane.map(|Lane([group, ..])| Lane([group; 16]));
                }
            }
            (Mutation::GroupThatIsNotNamed, Ok(Reply::Explained(explanation))) => {
                explanation.holds.retain(|hold| !matches!(hold, Hold::Group { .. }));
            }
            _ => {}
        }
    }
}
