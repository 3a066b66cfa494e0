//! What clients do.

mod dead;
mod dedup;
mod flows;
mod jobs;
mod limits;

use smallvec::SmallVec;
use weir_core::api::{Command, Config, DedupScope, Handle, Kind, Lane, Namespace, NewMessage, QueueId, Redrive, Tags};

use crate::model::{is_job_queue, payload_of};
use crate::profile::Profile;
use crate::rng::Rng;

pub(crate) use flows::FlowClients;
pub(crate) use jobs::JobClients;
pub(crate) use limits::LimitClients;

/// A queue as a client knows it.
#[derive(Clone, Debug)]
pub(crate) struct KnownQueue {
    pub(crate) id: QueueId,
    pub(crate) kind: Kind,
    pub(crate) version: u64,
    pub(crate) name: String,
    /// Whether each of its limiters has keys.
    pub(crate) keyed: Vec<bool>,
}

/// What the clients know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients {
    /// Queues, some of them deleted since.
    pub(crate) queues: Vec<KnownQueue>,
    /// Handles that they were given.
    pub(crate) handles: Vec<(QueueId, Handle)>,
    /// Receives that may still wait.
    pub(crate) receives: Vec<weir_core::api::Token>,
    /// Number of the next message.
    pub(crate) next_number: usize,
    /// What those know who work with jobs.
    pub(crate) jobs: JobClients,
    /// What those know whose jobs wait for others.
    pub(crate) flows: FlowClients,
    /// What those know who set limits.
    pub(crate) limits: LimitClients,
    /// What they take the time for.
    pub(crate) now: u64,
}

const NAMES: [(&str, Kind); 7] = [
    ("a", Kind::Standard),
    ("b", Kind::Standard),
    ("dead", Kind::Standard),
    ("a.fifo", Kind::Fifo),
    ("b.fifo", Kind::Fifo),
    ("dead.fifo", Kind::Fifo),
    ("c", Kind::Standard),
];

impl Clients {
    /// The next command.
    pub(crate) fn draw(&mut self, rng: &mut Rng, profile: &Profile) -> Command {
        if self.queues.is_empty() {
            return create(rng, profile);
        }
        let queue = match rng.pick(&self.queues) {
            Some(queue) => queue.clone(),
            None => return create(rng, profile),
        };
        let id = queue.id;
        match rng.weighted(&profile.weights) {
            0 => self.send(rng, profile, &queue),
            1 => receive(rng, profile, &queue),
            2 => {
                let (queue, handles) = self.handles(rng, profile, id);
                Command::Delete { queue, handles }
            }
            3 => {
                let (queue, handles) = self.handles(rng, profile, id);
                let mut length = || *rng.pick(&[0, 0, 300, 5_000, 60_000]).unwrap_or(&0);
                Command::ChangeVisibility {
                    queue,
                    changes: handles.into_iter().map(|handle| (handle, length())).collect(),
                }
            }
            4 => create(rng, profile),
            5 => Command::PurgeQueue { queue: id },
            6 => Command::DeleteQueue { queue: id },
            7 => {
                let version = if rng.chance(1, 10) { queue.version.saturating_sub(1) } else { queue.version };
                Command::ConfigureQueue { queue: id, version, config: config(rng, profile, queue.kind) }
            }
            8 => match rng.pick(&self.receives) {
                Some(&receive) => Command::Cancel { receive },
                None => Command::QueueStats { queue: id },
            },
            9 => {
                let (queue, handles) = self.handles(rng, profile, id);
                Command::Return { queue, handles }
            }
            10 => self.resend(rng, profile, &queue),
            _ => Command::QueueStats { queue: id },
        }
    }

    fn send(&mut self, rng: &mut Rng, profile: &Profile, queue: &KnownQueue) -> Command {
        let count = (*rng.pick(&[1, 1, 1, 3, 10]).unwrap_or(&1)).min(profile.batch_max);
        let messages = (0..count).map(|_| self.message(rng, profile, queue.kind)).collect();
        let version = if rng.chance(1, 20) { queue.version.saturating_sub(1) } else { queue.version };
        Command::Send { queue: queue.id, version, messages }
    }

    fn message(&mut self, rng: &mut Rng, profile: &Profile, kind: Kind) -> NewMessage {
        self.next_number += 1;
        let number = self.next_number;
        let len = rng.between(8, profile.payload_max) as usize;
        let fifo = kind == Kind::Fifo;
        let lane = if fifo { !rng.chance(1, 50) } else { rng.chance(1, 3) };
        NewMessage {
            uuid: uuid(rng),
            payload: payload_of(number, len),
            delay_ms: *rng.pick(&[None, None, Some(0), Some(700), Some(20_000)]).unwrap_or(&None),
            priority: *rng.pick(&[0, 0, 0, 1, 2, 7]).unwrap_or(&0),
            lane: lane.then(|| Lane([rng.below(profile.lanes) as u8; 16])),
            dedup: (fifo && rng.chance(1, 2)).then(|| [rng.below(40) as u8; 16]),
            ..NewMessage::default()
        }
    }

    /// A lot of messages at once: what makes a queue long.
    fn resend(&mut self, rng: &mut Rng, profile: &Profile, queue: &KnownQueue) -> Command {
        let messages =
            (0..rng.between(15, 35).min(profile.batch_max)).map(|_| self.message(rng, profile, queue.kind)).collect();
        Command::Send { queue: queue.id, version: queue.version, messages }
    }

    /// Handles of one queue: mostly recent ones, some old ones, some that nobody was given.
    fn handles(&self, rng: &mut Rng, profile: &Profile, queue: QueueId) -> (QueueId, SmallVec<[Handle; 1]>) {
        pick_handles(&self.handles, rng, profile, queue)
    }

    /// The same request once more, as a client sends it whose answer was lost. Its messages get numbers of their own,
    /// so that they can be told apart if they are stored twice.
    pub(crate) fn repeat(&mut self, command: &Command) -> Command {
        let mut again = command.clone();
        let mut renumber = |message: &mut NewMessage| {
            self.next_number += 1;
            message.payload = payload_of(self.next_number, message.payload.len());
        };
        match &mut again {
            Command::Send { messages, .. } => messages.iter_mut().for_each(renumber),
            Command::AddJobs { jobs, .. } => jobs.iter_mut().for_each(|job| renumber(&mut job.message)),
            _ => {}
        }
        again
    }

    pub(crate) fn learn(&mut self, queue: &weir_core::api::Queue) {
        let queues = if is_job_queue(&queue.name) { &mut self.jobs.queues } else { &mut self.queues };
        queues.retain(|known| known.id != queue.id);
        queues.push(KnownQueue {
            id: queue.id,
            kind: queue.kind,
            version: queue.version,
            name: queue.name.clone(),
            keyed: queue.config.limiters.iter().map(|limited| limited.key.is_some()).collect(),
        });
    }
}

/// Some of the handles known, all of one queue.
fn pick_handles(
    known: &[(QueueId, Handle)],
    rng: &mut Rng,
    profile: &Profile,
    queue: QueueId,
) -> (QueueId, SmallVec<[Handle; 1]>) {
    let mut handles = SmallVec::new();
    let recent = known.len().saturating_sub(12);
    let mut of = queue;
    for _ in 0..(*rng.pick(&[1, 1, 2, 8]).unwrap_or(&1)).min(profile.batch_max) {
        let at = if rng.chance(4, 5) {
            rng.between(recent as u64, known.len().max(1) as u64 - 1) as usize
        } else {
            rng.index(known.len().max(1))
        };
        match known.get(at) {
            Some(&(queue, handle)) if handles.is_empty() || queue == of => {
                of = queue;
                handles.push(handle);
            }
            _ => {}
        }
    }
    if rng.chance(1, 40) || handles.is_empty() {
        handles.push(Handle {
            space: rng.between(1, 9),
            message: rng.between(1, 99),
            grant: rng.between(1, 3) as u32,
            proof: rng.next(),
        });
    }
    (of, handles)
}

fn receive(rng: &mut Rng, profile: &Profile, queue: &KnownQueue) -> Command {
    let max = *rng.pick(&[1, 1, 2, 5, 10]).unwrap_or(&1);
    // What an attempt brings again has to be in memory at once.
    let repeatable = queue.kind == Kind::Fifo && u64::from(max) <= profile.batch_max && rng.chance(1, 3);
    Command::Receive {
        queue: queue.id,
        max,
        bytes_max: *rng.pick(&[u64::MAX, u64::MAX, 2_000, 100, 0]).unwrap_or(&u64::MAX),
        visibility_ms: *rng.pick(&[None, Some(0), Some(500), Some(5_000), Some(60_000)]).unwrap_or(&None),
        attempt: repeatable.then(|| [rng.below(3) as u8; 16]),
        wait_ms: *rng.pick(&[0, 0, 0, 200, 5_000, 20_000]).unwrap_or(&0),
    }
}

fn create(rng: &mut Rng, profile: &Profile) -> Command {
    let (name, kind) = *rng.pick(&NAMES).unwrap_or(&("a", Kind::Standard));
    Command::CreateQueue {
        namespace: Namespace(0),
        name: name.to_owned(),
        kind,
        config: config(rng, profile, kind),
        tags: Tags::new(),
        seed: uuid(rng),
    }
}

fn config(rng: &mut Rng, profile: &Profile, kind: Kind) -> Config {
    let target = if kind == Kind::Fifo { "dead.fifo" } else { "dead" };
    let rule = Redrive { target: target.to_owned(), receives_max: rng.between(1, 4) as u32 };
    let short = profile.short_retention && rng.chance(1, 2);
    Config {
        delay_ms: *rng.pick(&[0, 0, 0, 2_000]).unwrap_or(&0),
        retention_ms: if short { rng.between(60_000, 900_000) } else { 1_209_600_000 },
        visibility_ms: *rng.pick(&[1_000, 30_000, 30_000, 600_000]).unwrap_or(&30_000),
        redrive: rng.chance(1, 3).then_some(rule),
        dedup_scope: if rng.chance(1, 2) { DedupScope::Lane } else { DedupScope::Queue },
        ..Config::default()
    }
}

fn uuid(rng: &mut Rng) -> [u8; 16] {
    let mut uuid = [0; 16];
    for (place, byte) in uuid.iter_mut().zip(rng.next().to_le_bytes().into_iter().chain(rng.next().to_le_bytes())) {
        *place = byte;
    }
    uuid
}
