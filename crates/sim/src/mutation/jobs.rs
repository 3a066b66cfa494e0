//! Deliberate faults of jobs.

use weir_core::Time;
use weir_core::api::job::{Again, JobChange, JobState, Keep, Settled, Settlement};
use weir_core::api::{Command, Config, Error, Reply};
use weir_core::limiter::Terms;

use super::Mutation;

impl Mutation {
    /// Changes a command of jobs on its way to the shard.
    pub(super) fn alter_job_command(self, command: &mut Command) {
        self.alter_varied_command(command);
        match command {
            Command::AddJobs { idempotency, .. } if self == Mutation::IdempotencyIgnored => *idempotency = None,
            Command::Report { progress, logs, .. } if self == Mutation::ReportThatIsLost => {
                *progress = None;
                logs.clear();
            }
            Command::AddJobs { jobs, .. } => {
                for job in jobs {
                    let Some(options) = &mut job.message.options else { continue };
                    match self {
                        Mutation::CustomIdIgnored => options.custom_id = None,
                        Mutation::LifoIgnored => options.lifo = false,
                        Mutation::JobThatNeverExpires => options.expires_at = None,
                        Mutation::JobThatStartsEarly => options.run_at = None,
                        _ => {}
                    }
                }
            }
            Command::Settle { entries, .. } => {
                for (_, settlement) in entries {
                    self.alter_settlement(settlement);
                }
            }
            Command::PutLimiter { terms, .. } => self.alter_terms(terms),
            Command::PauseKey { for_ms, .. } if self == Mutation::KeyPauseThatIsIgnored => *for_ms = 0,
            Command::ChangeJobs { change, .. }
                if self == Mutation::CancelThatIsLost && *change == JobChange::Cancel =>
            {
                *change = JobChange::Priority { priority: 0, lifo: false };
            }
            Command::SettlePermit { done, .. } if self == Mutation::PermitThatLeaks => *done = false,
            Command::PauseQueue { for_ms, .. } if self == Mutation::PauseThatEndsEarly => *for_ms /= 2,
            Command::CreateQueue { config, .. } | Command::ConfigureQueue { config, .. } => {
                *config = self.alter_job_config(config);
            }
            _ => {}
        }
    }

    fn alter_terms(self, terms: &mut Terms) {
        match self {
            Mutation::WindowThatLetsOneMorePass => {
                for window in &mut terms.windows {
                    window.max += 1;
                }
            }
            Mutation::WindowThatIsTooShort => {
                for window in &mut terms.windows {
                    window.per_ms = (window.per_ms / 4).max(1);
                }
            }
            Mutation::OneMoreAtOnce => terms.concurrency = terms.concurrency.map(|max| max + 1),
            _ => {}
        }
    }

    fn alter_settlement(self, settlement: &mut Settlement) {
        match (self, settlement) {
            (Mutation::BackoffTooShort, Settlement::Fail { again: Again::After(delay_ms), .. }) => *delay_ms /= 2,
            (Mutation::FailureThatIsNotCounted, settlement @ Settlement::Fail { again: Again::After(_), .. }) => {
                if let Settlement::Fail { again: Again::After(delay_ms), .. } = settlement {
                    *settlement = Settlement::Release { delay_ms: *delay_ms, pause: None };
                }
            }
            (Mutation::CompletedJobThatRunsAgain, settlement @ Settlement::Complete { .. }) => {
                *settlement = Settlement::Release { delay_ms: 0, pause: None };
            }
            (Mutation::ResultThatIsLost, Settlement::Complete { result }) => *result = None,
            _ => {}
        }
    }

    fn alter_job_config(self, config: &Config) -> Config {
        let mut config = config.clone();
        match self {
            Mutation::AttemptsBeyondTheMaximum => config.retry.attempts_max += 1,
            Mutation::StallsBeyondTheMaximum => config.stalls_max += 1,
            Mutation::FinishedJobsThatStay => config.keep_completed = Keep::ALL,
            _ => {}
        }
        config
    }

    /// Whether it changes configurations on their way.
    pub(super) fn alters_job_config(self) -> bool {
        matches!(
            self,
            Mutation::AttemptsBeyondTheMaximum | Mutation::StallsBeyondTheMaximum | Mutation::FinishedJobsThatStay
        )
    }

    /// Makes an answer look as if the command had been carried out as it was sent.
    pub(super) fn alter_job_reply(self, command: &Command, reply: &mut Result<Reply, Error>) {
        self.alter_varied_reply(command, reply);
        match (self, command, reply) {
            (Mutation::CompletedJobThatRunsAgain, Command::Settle { entries, .. }, Ok(Reply::JobsSettled(settled))) => {
                for ((_, settlement), settled) in entries.iter().zip(settled) {
                    if let (Settlement::Complete { .. }, Ok(settled)) = (settlement, settled) {
                        settled.state = JobState::Completed;
                    }
                }
            }
            (Mutation::StaleSettlementThatSucceeds, Command::Settle { .. }, Ok(Reply::JobsSettled(settled))) => {
                for settled in settled.iter_mut().filter(|settled| **settled == Err(Error::LeaseLost)) {
                    *settled = Ok(Settled { state: JobState::Completed, due: None, cancel_requested: false });
                }
            }
            (Mutation::ExplanationThatIsTooLate, _, Ok(Reply::Explained(explanation))) => {
                explanation.not_before = explanation.not_before.map(|time| Time(time.0 + 100_000));
            }
            (Mutation::StallThatIsNotCounted, _, Ok(Reply::Received(deliveries))) => {
                for delivery in deliveries {
                    delivery.stalls = 0;
                }
            }
            (Mutation::AttemptsBeyondTheMaximum, _, Ok(Reply::Job(job))) => {
                job.retry.attempts_max -= 1;
            }
            _ => {}
        }
    }
}
