//! Deliberate faults of flows.

use weir_core::api::job::{JobChange, JobRef, JobState, OnChildFailure, Settlement};
use weir_core::api::{Command, Error, Reply};

use super::Mutation;

impl Mutation {
    /// Changes a command about flows on its way to the shard.
    pub(super) fn alter_flow_command(self, command: &mut Command) {
        match command {
            Command::AddJobs { jobs, .. } => {
                for options in jobs.iter_mut().filter_map(|job| job.message.options.as_mut()) {
                    match self {
                        Mutation::ParentThatDoesNotWait => options.parent = None,
                        Mutation::ChildFailureIgnored => options.on_failure = OnChildFailure::Ignore,
                        _ => {}
                    }
                }
            }
            Command::ChangeJobs { jobs, change: JobChange::LeaveParent, .. } if self == Mutation::ChildThatStays => {
                jobs.fill(JobRef::Custom([0xFF; 16]));
            }
            Command::ChangeJobs { change, .. }
                if self == Mutation::RemovalThatTakesChildren && *change == JobChange::RemoveAlone =>
            {
                *change = JobChange::Remove;
            }
            Command::Settle { entries, .. } if self == Mutation::WaitForChildrenThatIsForgotten => {
                for (_, settlement) in entries.iter_mut().filter(|(_, kind)| *kind == Settlement::WaitForChildren) {
                    *settlement = Settlement::Release { delay_ms: 0, pause: None };
                }
            }
            _ => {}
        }
    }

    /// Makes an answer look as if the command had been carried out as it was sent.
    pub(super) fn alter_flow_reply(self, command: &Command, reply: &mut Result<Reply, Error>) {
        match (self, command, reply) {
            (
                Mutation::WaitForChildrenThatIsForgotten,
                Command::Settle { entries, .. },
                Ok(Reply::JobsSettled(all)),
            ) => {
                for ((_, settlement), settled) in entries.iter().zip(all) {
                    if let (Settlement::WaitForChildren, Ok(settled)) = (settlement, settled) {
                        settled.state = JobState::Waiting;
                    }
                }
            }
            (
                Mutation::ChildThatStays,
                Command::ChangeJobs { change: JobChange::LeaveParent, .. },
                Ok(Reply::Settled(all)),
            ) => all.fill(Ok(())),
            (Mutation::ResultOfAChildThatIsLost, _, Ok(Reply::Children { children, .. })) => {
                for child in children {
                    child.result = None;
                }
            }
            _ => {}
        }
    }
}
