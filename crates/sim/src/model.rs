//! What must hold: a plain model of the queues, fed with commands and answers in the order in which they took effect.
//!
//! The model follows each message exactly, but for what time does by itself: the moment at which the end of a lease, a
//! retention or the last allowed receive is noticed is the engine's. So each question has two forms, what is certain
//! and what is possible, and an answer is wrong when it contradicts the first or lies outside the second.

mod attempt;
mod certainty;
pub mod jobs;
mod order;
mod queues;
mod receive;
mod send;
mod settle;

pub use jobs::{Asked, Duplicates, Job, Jobs, Offer, Standing, Starts, Use, is_job_queue};
pub use send::{DEDUP_MS, number_of, payload_of};

use std::collections::{BTreeMap, BTreeSet};

use weir_core::api::{Command, Config, Error, Handle, Kind, Lane, QueueId, Reply, Token};

/// What was found wrong, in a sentence.
pub type Checked = Result<(), String>;

/// A command that took effect, and what came of it.
#[derive(Clone, Debug)]
pub struct Effect {
    /// The command's name.
    pub token: Token,
    /// The command.
    pub command: Command,
    /// When it was submitted.
    pub submitted: u64,
    /// When it took effect.
    pub at: u64,
    /// The sequence of the state that the answer speaks of.
    pub sequence: u64,
    /// The answer; nothing for commands that have none.
    pub reply: Option<Result<Reply, Error>>,
    /// Whether it was withdrawn meanwhile.
    pub canceled: bool,
}

/// How a message is kept from being delivered, when it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// By nothing.
    Free,
    /// By its delay.
    Delay,
    /// By a lease.
    Lease,
}

/// A message as far as it is known.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where it is, unless it moved on as a dead letter.
    pub queue: QueueId,
    /// Its id.
    pub id: u64,
    /// Its public id.
    pub uuid: [u8; 16],
    /// Its group.
    pub lane: Option<Lane>,
    /// Its priority.
    pub priority: u32,
    /// When it was sent.
    pub sent: u64,
    /// Length of its payload.
    pub bytes: u64,
    /// What holds it.
    pub hold: Hold,
    /// When that lets it go.
    pub free: u64,
    /// How often it was received.
    pub receives: u64,
    /// How often it had been received when it came into its queue, at least and at most.
    pub receives_before: (u64, u64),
    /// The newest grant.
    pub fence: u32,
    /// Whether its newest grant was given back at a moment that is not known.
    pub maybe_returned: bool,
    /// When it was first received.
    pub first_received: Option<u64>,
    /// Where it moved from as a dead letter.
    pub source: Option<String>,
    /// Whether a command may have taken it away, or may have missed it where it moved to.
    pub doubtful: bool,
}

/// A queue.
#[derive(Clone, Debug)]
pub struct QueueModel {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Its configuration.
    pub config: Config,
    /// The configuration's version.
    pub version: u64,
    /// Whether it was deleted.
    pub deleted: bool,
    /// The shortest retention that it ever had.
    pub retention_min: u64,
    /// The dead-letter rules that it ever had: target's name and receives.
    pub redrives: BTreeSet<(String, u32)>,
    /// The first message of each deduplication hash in each group: number, public id, id and time.
    pub dedup: BTreeMap<([u8; 16], Option<Lane>), First>,
    /// What each attempt of a receive was given, and when it was made first.
    pub attempts: BTreeMap<[u8; 16], attempt::Attempt>,
}

/// The first message of a deduplication hash.
#[derive(Clone, Copy, Debug)]
pub struct First {
    /// Its number.
    pub number: usize,
    /// Its public id.
    pub uuid: [u8; 16],
    /// Its id.
    pub id: u64,
    /// When it was sent.
    pub at: u64,
}

/// Everything that is known.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// All messages there are, by the number in their payload.
    pub messages: BTreeMap<usize, Message>,
    /// Number of each message ever stored, by its id. What is here and not among the messages is gone.
    pub by_id: BTreeMap<u64, usize>,
    /// All queues ever seen.
    pub queues: BTreeMap<QueueId, QueueModel>,
    /// Jobs and their queues.
    pub jobs: Jobs,
    /// Handles that were given out.
    pub handles: BTreeSet<(u64, u64, u32, u64)>,
    /// When the shard was opened.
    pub opened_at: u64,
    /// Handles that were given out for messages that a loss of power took.
    pub lost: BTreeSet<(u64, u64, u32, u64)>,
    /// How many receives repeated an attempt.
    pub repeats: u64,
    /// Everything due until then has certainly been dealt with.
    pub settled_until: u64,
    /// When something was last stored.
    pub written_until: u64,
}

impl Model {
    /// Takes in a command that took effect, and checks its answer.
    pub fn take(&mut self, effect: &Effect) -> Checked {
        let at = effect.at;
        self.pass(at);
        let Some(reply) = &effect.reply else {
            match &effect.command {
                // It was parked: when it takes effect, if ever, is not known.
                Command::Return { handles, .. } if effect.canceled => {
                    self.maybe_returned(handles);
                    self.jobs_returned(handles, at, false)?;
                }
                Command::Return { queue, handles } => {
                    self.returned(*queue, handles, at);
                    self.jobs_returned(handles, at, true)?;
                }
                Command::PermitReturned { permit, .. } => self.permit_returned(*permit, at, !effect.canceled),
                _ => {}
            }
            return Ok(());
        };
        let checked = match (&effect.command, reply) {
            (Command::CreateQueue { name, kind, config, .. }, reply) => self.created(name, *kind, config, reply, at),
            (Command::ConfigureQueue { queue, version, config }, reply) => {
                self.configured(*queue, *version, config, reply, at)
            }
            (Command::AddJobs { jobs, idempotency }, reply) => self.jobs_added(jobs, *idempotency, reply, at),
            (_, Err(Error::QueueNotFound)) => self.queue_not_found(effect),
            (Command::Move { queue, to, ids }, reply) => self.jobs_moved((*queue, *to), ids, reply, at),
            (Command::DeleteQueue { queue }, Ok(Reply::Done)) => self.queue_deleted(*queue, at),
            (Command::PurgeQueue { queue }, Ok(Reply::Done)) => self.purged(*queue),
            (Command::QueueStats { queue }, Ok(Reply::Stats { counters, priorities, oldest, .. })) => {
                let by_priority = priorities.as_ref().map(|counts| counts.iter().map(|(_, count)| count).sum::<u64>());
                if by_priority.is_some_and(|sum| sum != counters.ready) {
                    return Err(format!("of {} ready messages the priorities are {priorities:?}", counters.ready));
                }
                self.counted(*queue, *counters, oldest.map(|time| time.0), at)
            }
            (Command::Send { queue, version, messages }, reply) => self.sent(*queue, *version, messages, reply, at),
            (Command::Receive { queue, .. }, Ok(Reply::Received(deliveries))) => {
                self.received(effect, *queue, deliveries)
            }
            (Command::Delete { queue, handles }, Ok(Reply::Settled(settled))) => {
                self.deleted(*queue, handles, settled, at)
            }
            (Command::ChangeVisibility { queue, changes }, Ok(Reply::Settled(settled))) => {
                self.visibility_changed(*queue, changes, settled, at)
            }
            (Command::Lease { queue, .. }, Ok(Reply::Received(deliveries))) => {
                self.jobs_leased(effect, *queue, deliveries)
            }
            (Command::Settle { queue, entries, .. }, Ok(Reply::JobsSettled(settled))) => {
                self.jobs_settled(*queue, entries, settled, at)
            }
            (Command::ChangeJobs { queue, jobs, change }, Ok(Reply::Settled(results))) => {
                self.jobs_changed(*queue, jobs, change, results, at)
            }
            (Command::ChangeJobs { queue, change, .. }, Err(Error::Invalid { field: "lifo", .. })) => {
                self.change_refused(*queue, change)
            }
            (Command::Report { queue, job, progress, logs, logs_max }, reply) => {
                self.reported((*queue, *job), progress.as_ref(), (logs, *logs_max), reply, at)
            }
            (Command::ListJobs { queue, state, after, max, payload_bytes_max }, reply) => {
                let (after, bytes_max) = (after.as_ref(), *payload_bytes_max);
                self.listed(Asked { queue: *queue, state: *state, after, max: *max, bytes_max }, reply)
            }
            (Command::JobLogs { queue, job, from, max }, reply) => self.logs_read((*queue, *job), (*from, *max), reply),
            (Command::JobChildren { queue, job, after, max }, reply) => {
                self.children_told((*queue, *job), *after, *max, reply)
            }
            (Command::Explain { queue, job }, reply) => self.explained(*queue, *job, reply, at),
            (Command::ForgetDedup { queue, hash, job }, reply) => {
                self.dedup_forgotten((*queue, *hash), *job, reply, at)
            }
            // Who gives up, or waits when the shard ends, is told what was known when it asked.
            (Command::DescribeJob { .. }, _) if effect.canceled => Ok(()),
            (Command::DescribeJob { queue, job, wait_ms }, reply) => {
                self.described(*queue, *job, reply, *wait_ms > 0, at)
            }
            (Command::PutLimiter { name, terms, unknown, .. }, reply) => {
                self.limiter_put(name, terms, *unknown, reply, at)
            }
            (_, Err(Error::LimiterNotFound)) => self.limiter_not_found(effect),
            (Command::DeleteLimiter { limiter }, Ok(Reply::Done)) => self.limiter_deleted(*limiter, at),
            (Command::LimiterStats { limiter, key }, Ok(Reply::KeyStats(stats))) => {
                self.key_told((*limiter, *key), stats, at)
            }
            (Command::PauseKey { limiter, key, for_ms }, Ok(Reply::Done)) => {
                self.key_paused((*limiter, *key), *for_ms, at);
                Ok(())
            }
            (Command::Acquire { .. }, Ok(Reply::Acquired(acquired))) => self.acquired(effect, *acquired),
            (Command::SettlePermit { permit, done, .. }, reply) => self.permit_settled(*permit, *done, reply, at),
            (Command::PauseQueue { queue, for_ms }, Ok(Reply::Queue { .. })) => self.paused(*queue, *for_ms, at),
            (_, reply) => Err(format!("an answer of another kind: {reply:?}")),
        };
        checked.map_err(|wrong| format!("{wrong} (answer to {:?} at {at})", effect.command))
    }

    /// The queues that are not deleted.
    pub fn queues_alive(&self) -> impl Iterator<Item = (QueueId, &QueueModel)> {
        self.queues.iter().filter(|(_, queue)| !queue.deleted).map(|(id, queue)| (*id, queue))
    }

    /// The queue called `name`.
    pub fn queue_named(&self, name: &str) -> Option<(QueueId, &QueueModel)> {
        self.queues_alive().find(|(_, queue)| queue.name == name)
    }

    fn queue(&self, queue: QueueId) -> Result<&QueueModel, String> {
        self.queues.get(&queue).filter(|queue| !queue.deleted).ok_or_else(|| format!("queue {} is not there", queue.0))
    }

    fn queue_mut(&mut self, queue: QueueId) -> Result<&mut QueueModel, String> {
        self.queues
            .get_mut(&queue)
            .filter(|queue| !queue.deleted)
            .ok_or_else(|| format!("queue {} is not there", queue.0))
    }

    /// The message that a handle was given out for, if it was and the message is there.
    fn message_of(&self, handle: &Handle) -> Option<(usize, &Message)> {
        if !self.is_genuine(handle) {
            return None;
        }
        let number = *self.by_id.get(&handle.message)?;
        self.messages.get(&number).map(|message| (number, message))
    }

    fn is_lost(&self, handle: &Handle) -> bool {
        self.lost.contains(&(handle.space, handle.message, handle.grant, handle.proof))
    }

    fn is_genuine(&self, handle: &Handle) -> bool {
        self.handles.contains(&(handle.space, handle.message, handle.grant, handle.proof))
    }
}
