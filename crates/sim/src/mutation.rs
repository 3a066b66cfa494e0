//! Deliberate faults, one at a time, to show that the checker finds such. They sit between the shard and the checker, or
//! in the disk: the shipped code has no place for them.

mod dead;
mod dedup;
mod flows;
mod jobs;
mod varied;

use bytes::Bytes;
use weir_core::api::{Command, Config, Counters, Error, Lane, Reply};
use weir_shard::{Answer, Answered, Refused};
use weir_store::Durability;

use crate::coverage::Coverage;

/// A deliberate fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// An answer is given before its state is durable.
    ReplyBeforeDurable,
    /// The disk says that it synced and did not.
    SyncThatDoesNothing,
    /// Recovery leaves out the last group of the log.
    ReplayWithoutTheLastGroup,
    /// Deletions are acknowledged and not carried out.
    DeleteThatIsLost,
    /// Leases end at half their time, so that a message is granted twice.
    LeaseThatEndsEarly,
    /// Delays end at half their time.
    DelayThatEndsEarly,
    /// After a checkpoint, deduplication ids are forgotten.
    DedupIgnoredAfterCheckpoint,
    /// A counter is off by one.
    CounterOffByOne,
    /// Each message is a group of its own.
    GroupThatDoesNotBlock,
    /// A purge is acknowledged and spares everything.
    PurgeThatSparesAll,
    /// Messages become dead letters one receive too late.
    DeadLetterTooLate,
    /// Priorities are turned around.
    PriorityReversed,
    /// A release is acknowledged and the lease goes on.
    ReleaseThatIsLost,
    /// The fence does not count up.
    FenceThatStandsStill,
    /// Receives wait half as long as they should.
    WaitThatEndsEarly,
    /// Messages are kept for a quarter of their retention.
    RetentionTooShort,
    /// A payload is changed.
    PayloadChanged,
    /// Giving a message back counts as a receive.
    ReturnThatCounts,
    /// Engine time is wall time.
    TimeThatFollowsTheWall,
    /// A shard that is opened does not look at the latest time stored.
    TimeThatStartsOver,
    /// A read that fails says that it read zeros.
    ReadThatFailsSilently,
    /// A receive that is refused by a shard that stopped looks like an empty one.
    RefusalThatLooksEmpty,
    /// A copy does not wait for the checkpoint that it needs.
    CopyOfTheLastCheckpoint,
    /// A copy lacks the messages of a queue.
    CopyWithoutAQueuesMessages,
    /// A job's own id keeps no other away.
    CustomIdIgnored,
    /// Idempotency keys are ignored.
    IdempotencyIgnored,
    /// A report is acknowledged and lost.
    ReportThatIsLost,
    /// A job that is to be first waits its turn.
    LifoIgnored,
    /// A job that is too late is run all the same.
    JobThatNeverExpires,
    /// A job is run before its time.
    JobThatStartsEarly,
    /// A failed job comes back too early.
    BackoffTooShort,
    /// A failure is not counted.
    FailureThatIsNotCounted,
    /// A completed job is run again.
    CompletedJobThatRunsAgain,
    /// A result is lost.
    ResultThatIsLost,
    /// A job is tried once too often.
    AttemptsBeyondTheMaximum,
    /// A job may lose one worker more than it should.
    StallsBeyondTheMaximum,
    /// A lost worker is not counted.
    StallThatIsNotCounted,
    /// Who lost a lease is told that it settled the job.
    StaleSettlementThatSucceeds,
    /// Finished jobs are kept for longer than they should.
    FinishedJobsThatStay,
    /// A pause is over at half its time.
    PauseThatEndsEarly,
    /// The process is killed and what it wrote is lost as with the power.
    KillThatLosesWrites,
    /// Acknowledged groups wait longer for their sync than they may.
    SyncThatComesLate,
    /// A limiter lets one more pass than its windows say.
    WindowThatLetsOneMorePass,
    /// A limiter's windows are shorter than they should.
    WindowThatIsTooShort,
    /// A limiter lets one more run at once.
    OneMoreAtOnce,
    /// The pause of a key is acknowledged and holds nothing back.
    KeyPauseThatIsIgnored,
    /// A permit that was given back counts on.
    PermitThatLeaks,
    /// A cancel is acknowledged and the job goes on.
    CancelThatIsLost,
    /// A job is said to run later than it does.
    ExplanationThatIsTooLate,
    /// Each job is a group of its own.
    JobGroupThatDoesNotBlock,
    /// Nothing is said of the group that a job waits for.
    GroupThatIsNotNamed,
    /// A worker's pause is acknowledged and holds nothing back.
    WorkersPauseThatIsIgnored,
    /// A batch does not wait to become full.
    BatchThatDoesNotLinger,
    /// A batch waits for longer than it should.
    BatchThatLingersTooLong,
    /// A batch that is to be of one group is of several.
    BatchOfSeveralGroups,
    /// A page goes on where it should not, one job too late.
    PageThatSkipsAJob,
    /// A log is said to have a line more than it has.
    LogToldTooLong,
    /// A permit whose client is gone is not taken back.
    PermitReturnThatIsLost,
    /// Where groups are synced at an interval, what was synced of jobs is lost with the power.
    SyncedJobsThatAreLost,
    /// A parent does not wait for its children.
    ParentThatDoesNotWait,
    /// The failure of a child is nothing to its parent.
    ChildFailureIgnored,
    /// Who waits for children runs at once.
    WaitForChildrenThatIsForgotten,
    /// A parent is told of its children without what came of them.
    ResultOfAChildThatIsLost,
    /// A child is said to have left its parent and has not.
    ChildThatStays,
    /// Children go with a parent that is removed alone.
    RemovalThatTakesChildren,
    /// A deduplication id keeps no other job away.
    DedupOfJobsIgnored,
    /// A deduplication id counts until its job has ended, and no longer.
    DedupThatEndsWithItsJob,
    /// A duplicate does not start the time anew.
    ExtensionThatIsLost,
    /// A duplicate does not take the place of the first one.
    ReplacementThatIsLost,
    /// A duplicate does not give the first one its time.
    ReschedulingThatIsLost,
    /// A duplicate that is kept back never comes.
    KeptBackThatIsLost,
    /// An id is said to be free and is not.
    FreedIdThatStays,
    /// A job that failed for good stays in its queue.
    DeadJobThatStays,
    /// A dead letter does not say where it comes from.
    DeadJobWithoutItsSource,
    /// A job is said to have been moved and was not.
    MoveOfJobsThatIsLost,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Mutation; 75] = [
        Mutation::ReplyBeforeDurable,
        Mutation::SyncThatDoesNothing,
        Mutation::ReplayWithoutTheLastGroup,
        Mutation::DeleteThatIsLost,
        Mutation::LeaseThatEndsEarly,
        Mutation::DelayThatEndsEarly,
        Mutation::DedupIgnoredAfterCheckpoint,
        Mutation::CounterOffByOne,
        Mutation::GroupThatDoesNotBlock,
        Mutation::PurgeThatSparesAll,
        Mutation::DeadLetterTooLate,
        Mutation::PriorityReversed,
        Mutation::ReleaseThatIsLost,
        Mutation::FenceThatStandsStill,
        Mutation::WaitThatEndsEarly,
        Mutation::RetentionTooShort,
        Mutation::PayloadChanged,
        Mutation::ReturnThatCounts,
        Mutation::TimeThatFollowsTheWall,
        Mutation::TimeThatStartsOver,
        Mutation::ReadThatFailsSilently,
        Mutation::RefusalThatLooksEmpty,
        Mutation::CopyOfTheLastCheckpoint,
        Mutation::CopyWithoutAQueuesMessages,
        Mutation::CustomIdIgnored,
        Mutation::IdempotencyIgnored,
        Mutation::ReportThatIsLost,
        Mutation::LifoIgnored,
        Mutation::JobThatNeverExpires,
        Mutation::JobThatStartsEarly,
        Mutation::BackoffTooShort,
        Mutation::FailureThatIsNotCounted,
        Mutation::CompletedJobThatRunsAgain,
        Mutation::ResultThatIsLost,
        Mutation::AttemptsBeyondTheMaximum,
        Mutation::StallsBeyondTheMaximum,
        Mutation::StallThatIsNotCounted,
        Mutation::StaleSettlementThatSucceeds,
        Mutation::FinishedJobsThatStay,
        Mutation::PauseThatEndsEarly,
        Mutation::KillThatLosesWrites,
        Mutation::SyncThatComesLate,
        Mutation::WindowThatLetsOneMorePass,
        Mutation::WindowThatIsTooShort,
        Mutation::OneMoreAtOnce,
        Mutation::KeyPauseThatIsIgnored,
        Mutation::PermitThatLeaks,
        Mutation::CancelThatIsLost,
        Mutation::ExplanationThatIsTooLate,
        Mutation::JobGroupThatDoesNotBlock,
        Mutation::GroupThatIsNotNamed,
        Mutation::WorkersPauseThatIsIgnored,
        Mutation::BatchThatDoesNotLinger,
        Mutation::BatchThatLingersTooLong,
        Mutation::BatchOfSeveralGroups,
        Mutation::PageThatSkipsAJob,
        Mutation::LogToldTooLong,
        Mutation::PermitReturnThatIsLost,
        Mutation::SyncedJobsThatAreLost,
        Mutation::ParentThatDoesNotWait,
        Mutation::ChildFailureIgnored,
        Mutation::WaitForChildrenThatIsForgotten,
        Mutation::ResultOfAChildThatIsLost,
        Mutation::ChildThatStays,
        Mutation::RemovalThatTakesChildren,
        Mutation::DedupOfJobsIgnored,
        Mutation::DedupThatEndsWithItsJob,
        Mutation::ExtensionThatIsLost,
        Mutation::ReplacementThatIsLost,
        Mutation::ReschedulingThatIsLost,
        Mutation::KeptBackThatIsLost,
        Mutation::FreedIdThatStays,
        Mutation::DeadJobThatStays,
        Mutation::DeadJobWithoutItsSource,
        Mutation::MoveOfJobsThatIsLost,
    ];

    /// Changes what the shard is told of durability.
    pub(crate) fn alter_durability(self, durability: Durability) -> Durability {
        match (self, durability) {
            (Mutation::SyncThatComesLate, Durability::Interval(interval)) => Durability::Interval(interval * 3),
            _ => durability,
        }
    }

    /// Changes a command on its way to the shard.
    pub(crate) fn alter_command(self, command: &mut Command, coverage: &Coverage) {
        self.alter_job_command(command);
        self.alter_flow_command(command);
        self.alter_dedup_command(command);
        self.alter_dead_command(command);
        match (self, command) {
            (Mutation::DeleteThatIsLost, Command::Delete { handles, .. }) => {
                for handle in handles {
                    handle.message = u64::MAX;
                }
            }
            (Mutation::LeaseThatEndsEarly, Command::Receive { visibility_ms: Some(length), .. }) => *length /= 2,
            (Mutation::DelayThatEndsEarly, Command::Send { messages, .. }) => {
                for message in messages {
                    message.delay_ms = message.delay_ms.map(|delay| delay / 2);
                }
            }
            (Mutation::DedupIgnoredAfterCheckpoint, Command::Send { messages, .. }) if coverage.checkpoints > 0 => {
                for message in messages {
                    message.dedup = None;
                }
            }
            (Mutation::GroupThatDoesNotBlock, Command::Send { messages, .. }) => {
                for message in messages {
                    let uuid = message.uuid;
                    message.lane = message.lane.map(|_| Lane(uuid));
                }
            }
            (Mutation::PurgeThatSparesAll, command @ Command::PurgeQueue { .. }) => {
                if let Command::PurgeQueue { queue } = command {
                    *command = Command::QueueStats { queue: *queue };
                }
            }
            (
                Mutation::DeadLetterTooLate | Mutation::RetentionTooShort,
                Command::CreateQueue { config, .. } | Command::ConfigureQueue { config, .. },
            ) => *config = self.alter_config(config),
            (Mutation::PriorityReversed, Command::Send { messages, .. }) => {
                for message in messages {
                    message.priority = 100 - message.priority;
                }
            }
            (Mutation::ReleaseThatIsLost, Command::ChangeVisibility { changes, .. }) => {
                for (_, length) in changes.iter_mut().filter(|(_, length)| *length == 0) {
                    *length = 100_000;
                }
            }
            (Mutation::WaitThatEndsEarly, Command::Receive { wait_ms, .. }) => *wait_ms /= 2,
            (Mutation::ReturnThatCounts, command @ Command::Return { .. }) => {
                if let Command::Return { queue, handles } = command {
                    let changes = handles.iter().map(|handle| (*handle, 0)).collect();
                    *command = Command::ChangeVisibility { queue: *queue, changes };
                }
            }
            _ => {}
        }
    }

    fn alter_config(self, config: &Config) -> Config {
        let mut config = config.clone();
        if self == Mutation::RetentionTooShort {
            config.retention_ms /= 4;
        } else if let Some(redrive) = &mut config.redrive {
            redrive.receives_max += 1;
        }
        config
    }

    /// Makes an answer look as if the command had been carried out as it was sent.
    pub(crate) fn alter_reply(self, command: &Command, reply: &mut Result<Reply, Error>) {
        self.alter_job_reply(command, reply);
        self.alter_flow_reply(command, reply);
        self.alter_dedup_reply(command, reply);
        self.alter_dead_reply(command, reply);
        match (self, command, reply) {
            (Mutation::DeleteThatIsLost, _, Ok(Reply::Settled(settled))) => {
                for result in settled.iter_mut().filter(|result| **result == Err(Error::HandleInvalid)) {
                    *result = Ok(());
                }
            }
            (
                Mutation::LeaseThatEndsEarly,
                Command::Receive { visibility_ms: Some(length), .. },
                Ok(Reply::Received(deliveries)),
            ) => {
                for delivery in deliveries {
                    delivery.deadline.0 += length - length / 2;
                }
            }
            (Mutation::PurgeThatSparesAll, Command::PurgeQueue { .. }, Ok(reply)) => *reply = Reply::Done,
            (
                mutation,
                Command::CreateQueue { config, .. } | Command::ConfigureQueue { config, .. },
                Ok(Reply::Queue { queue, .. }),
            ) if mutation.alters_config() => {
                let mut public = (**queue).clone();
                public.config = config.clone();
                *queue = public.into();
            }
            (Mutation::PriorityReversed, _, Ok(Reply::Received(deliveries))) => {
                for delivery in deliveries {
                    delivery.priority = 100 - delivery.priority;
                }
            }
            (Mutation::FenceThatStandsStill, _, Ok(Reply::Received(deliveries))) => {
                for delivery in deliveries {
                    delivery.handle.grant = 1;
                }
            }
            _ => {}
        }
    }

    fn alters_config(self) -> bool {
        matches!(self, Mutation::DeadLetterTooLate | Mutation::RetentionTooShort | Mutation::DeadJobThatStays)
            || self.alters_job_config()
    }

    /// Changes what a client is answered.
    pub(crate) fn alter_answer(self, command: &Command, answer: &mut Answer) {
        if let (Mutation::RefusalThatLooksEmpty, Command::Receive { .. }, Err(Refused::Poisoned { .. })) =
            (self, command, &answer)
        {
            *answer = Ok(Answered { reply: Reply::Received(Vec::new()), payloads: Vec::new() });
        }
    }

    /// Changes counters that the checker looks at.
    pub(crate) fn alter_counters(self, counters: Counters) -> Counters {
        match self {
            Mutation::CounterOffByOne if counters.leased > 3 => Counters { leased: counters.leased - 1, ..counters },
            _ => counters,
        }
    }

    /// Changes the payloads of an answer.
    pub(crate) fn alter_payloads(self, payloads: &mut [Bytes]) {
        if let (Mutation::PayloadChanged, [_, payload, ..]) = (self, payloads) {
            let mut changed = payload.to_vec();
            changed.rotate_left(1);
            *payload = changed.into();
        }
    }
}
