//! Where everything stands: the layout of the engine's key space.
//!
//! Every key starts with its namespace (ordered number), a *space* (ordered number) and a kind (one byte). Space 0 holds
//! the entities of the namespace and what outlives any one queue; each queue owns one other space, which it leaves for
//! a new one when it is purged, so that the old messages vanish at once and are reclaimed in slices.
//! The layout is part of the stored format: a new kind takes a new byte, and a byte is never used again.
//!
//! | kind | space | rest of the key | value |
//! | --- | --- | --- | --- |
//! | `MESSAGE` | queue's | message id | the message's head |
//! | `READY` | queue's | place | empty: ready, in the order of delivery (standard queues) |
//! | `LANE_WAITING` | queue's | lane (16 bytes), message id | priority: waiting in its lane, in order (FIFO queues) |
//! | `LANE_HEAD` | queue's | place, lane | empty: lanes that may run, by their first message |
//! | `LANE_READY` | queue's | lane, place | empty: ready in its lane, in order (standard queues) |
//! | `LANE_HEAD_NOISY` | queue's | place, lane | empty: as `LANE_HEAD`, for lanes that come after those |
//! | `LANE` | queue's | lane | counts of the lane: lives while it has messages |
//! | `DEDUP` | queue's | bucket, hash (16 bytes) | time, id, public id and lane of the first message |
//! | `ATTEMPT` | queue's | bucket, hash (16 bytes) | what a receive of this attempt was given |
//! | `SPEC` | queue's | message id | what the sender said of it as a job, where it said anything |
//! | `FINISHED` | queue's | 1 completed or 2 failed, time, message id | finished jobs, in the order of their ends: empty, or a byte for those with their own time to go |
//! | `JOB_ID` | queue's | hash (16 bytes) | message id: the job of this custom id |
//! | `JOB_DEDUP` | queue's | hash (16 bytes) | the job that keeps others of this deduplication id away |
//! | `WAITING` | queue's | message id | empty: jobs that wait for children |
//! | `NEWEST` | queue's | 1 completed or 2 failed, complements of time and message id | empty: finished jobs, newest first |
//! | `DEDUP_END` | queue's | time, hash (16 bytes) | empty: when a `JOB_DEDUP` row ends by time |
//! | `META` | 0 | – | the shard's counters (namespace 0 only) |
//! | `QUEUE` | 0 | queue id | name and configuration |
//! | `COUNTERS` | 0 | queue id | counters |
//! | `DUE` | 0 | time, space, message id | empty: when a delay or a lease ends |
//! | `BODY` | 0 | message id | payload: attributes and body, as the doors wrote it |
//! | `EXTRA` | 0 | message id, which (see `extra`), number | progress, result, log and failures of a job |
//! | `GARBAGE` | 0 | space | empty: a space left behind, to be reclaimed |
//! | `MOVE` | 0 | id of the move | a move of messages, and how far it is |
//! | `LIMITER` | 0 | id of the limiter | its name and terms |
//! | `LIMIT_KEY` | 0 | id of the limiter, key | what the key started lately and what runs under it |
//! | `LIMIT_WAITING` | 0 | id of the limiter, key, place, space, lane | cost: lanes that wait for the key |
//! | `LIMIT_WAKE` | 0 | time, id of the limiter, key | empty: when the key is to be looked at again |
//! | `PERMIT` | 0 | id of the limiter, id of the permit | a permit of a program outside |
//! | `IDEMPOTENCY` | 0 | bucket, hash (16 bytes) | what a request with this idempotency key added |
//! | `CHILD` | 0 | message id, message id | how the child (the latter) of a job (the former) stands |
//! | `CHILD_RESULT` | 0 | as of `CHILD` | what came of the child; the engine never reads it back |
//! | `FLOW_TASK` | 0 | number | what the members of a flow are still to be told, in order |
//! | `IDEMPOTENCY_BUCKETS` | 0 | – | the buckets of `IDEMPOTENCY` |
//! | `TOPIC` | 0 | id of the topic | its name and configuration |
//! | `TOPIC_COUNTERS` | 0 | id of the topic | its counters |
//! | `SUBSCRIPTION` | 0 | id of the subscription | its topic, endpoint and configuration |
//! | `SUBSCRIPTION_COUNTERS` | 0 | id of the subscription | its counters |
//! | `SHARED` | 0 | id of the publication | how many messages, and archives, share the payload under this id |
//! | `ARCHIVE` | topic's | time, id of the publication | a publication that is kept to be replayed |
//! | `MINUTES` | 0 | queue id, minute | what finished in this minute and some after it, see `meter` |
//! | `REPLAY` | 0 | id of the replay | what is replayed to whom, and how far it is |
//!
//! A topic owns a space as a queue does, with `DEDUP` rows of its publications.
//!
//! A *place* is a priority and a message id; for a message that comes before all others of its priority, the priority, a
//! zero and the complement of the message id (see `place`).
//!
//! The key of a limiter is a byte 0 for the one that all share who have none, or a byte 1 and a hash (16 bytes). The end
//! of a permit stands in the order of what is due too, with the id of its limiter in the place of a space.

use crate::api::limit::{LimitKey, LimiterId};
use crate::api::topic::{ReplayId, SubscriptionId, TopicId};
use crate::api::{Lane, Namespace};
use crate::kv::{KeyBuf, split_ordered};
use crate::place::Place;
use crate::time::Time;

pub(crate) const MESSAGE: u8 = 1;
pub(crate) const READY: u8 = 2;
pub(crate) const LANE_WAITING: u8 = 3;
pub(crate) const LANE_HEAD: u8 = 4;
pub(crate) const LANE: u8 = 5;
pub(crate) const DEDUP: u8 = 6;
pub(crate) const ATTEMPT: u8 = 7;
pub(crate) const LANE_READY: u8 = 8;
pub(crate) const LANE_HEAD_NOISY: u8 = 9;
pub(crate) const SPEC: u8 = 10;
pub(crate) const EXTRA: u8 = 11;
pub(crate) const FINISHED: u8 = 12;
pub(crate) const JOB_ID: u8 = 13;
pub(crate) const JOB_DEDUP: u8 = 14;
pub(crate) const CHILD: u8 = 15;
pub(crate) const META: u8 = 16;
pub(crate) const QUEUE: u8 = 17;
pub(crate) const COUNTERS: u8 = 18;
pub(crate) const DUE: u8 = 19;
pub(crate) const BODY: u8 = 20;
pub(crate) const GARBAGE: u8 = 21;
pub(crate) const MOVE: u8 = 22;
pub(crate) const LIMITER: u8 = 23;
pub(crate) const LIMIT_KEY: u8 = 24;
pub(crate) const LIMIT_WAITING: u8 = 25;
pub(crate) const LIMIT_WAKE: u8 = 26;
pub(crate) const PERMIT: u8 = 27;
pub(crate) const IDEMPOTENCY: u8 = 28;
pub(crate) const WAITING: u8 = 29;
pub(crate) const NEWEST: u8 = 30;
pub(crate) const CHILD_RESULT: u8 = 31;
pub(crate) const DEDUP_END: u8 = 32;
pub(crate) const FLOW_TASK: u8 = 33;
pub(crate) const IDEMPOTENCY_BUCKETS: u8 = 34;
pub(crate) const TOPIC: u8 = 35;
pub(crate) const TOPIC_COUNTERS: u8 = 36;
pub(crate) const SUBSCRIPTION: u8 = 37;
pub(crate) const SUBSCRIPTION_COUNTERS: u8 = 38;
pub(crate) const SHARED: u8 = 39;
pub(crate) const ARCHIVE: u8 = 40;
pub(crate) const REPLAY: u8 = 41;
pub(crate) const MINUTES: u8 = 42;

/// Which row of a job's extras, in the key of one.
pub(crate) mod extra {
    pub(crate) const PROGRESS: u8 = 0;
    pub(crate) const RESULT: u8 = 1;
    pub(crate) const FAILURE: u8 = 2;
    pub(crate) const LOG: u8 = 3;
    /// Grant, kind and time of an attempt that failed; `FAILURE` is what its worker said.
    pub(crate) const ATTEMPT: u8 = 4;
}

/// The space of the namespace itself.
const ENTITIES: u64 = 0;

/// The keys of one space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Space {
    pub(crate) namespace: Namespace,
    pub(crate) id: u64,
}

impl Space {
    pub(crate) fn kind(self, kind: u8) -> KeyBuf {
        KeyBuf::new().number(self.namespace.0).number(self.id).byte(kind)
    }

    /// First key of the space, and the first key after it.
    pub(crate) fn range(self) -> (KeyBuf, KeyBuf) {
        (self.kind(0), self.kind(u8::MAX))
    }

    pub(crate) fn message(self, id: u64) -> KeyBuf {
        self.kind(MESSAGE).number(id)
    }

    pub(crate) fn ready(self, place: Place) -> KeyBuf {
        place.append(self.kind(READY))
    }

    pub(crate) fn lane(self, lane: Lane) -> KeyBuf {
        self.kind(LANE).hash(lane.0)
    }

    pub(crate) fn lane_waiting(self, lane: Lane, id: u64) -> KeyBuf {
        self.kind(LANE_WAITING).hash(lane.0).number(id)
    }

    /// First key of what waits in `lane`, and the first key after it.
    pub(crate) fn lane_waiting_range(self, lane: Lane) -> (KeyBuf, KeyBuf) {
        let start = self.kind(LANE_WAITING).hash(lane.0);
        // No ordered number starts with a byte above 8.
        (start, start.byte(u8::MAX))
    }

    pub(crate) fn lane_head(self, place: Place, lane: Lane) -> KeyBuf {
        place.append(self.kind(LANE_HEAD)).hash(lane.0)
    }

    pub(crate) fn lane_ready(self, lane: Lane, place: Place) -> KeyBuf {
        place.append(self.kind(LANE_READY).hash(lane.0))
    }

    /// First key of what is ready in `lane`.
    pub(crate) fn lane_ready_start(self, lane: Lane) -> KeyBuf {
        self.kind(LANE_READY).hash(lane.0)
    }

    /// First key after what is ready in `lane`.
    pub(crate) fn lane_ready_end(self, lane: Lane) -> KeyBuf {
        // No ordered number starts with a byte above 8.
        self.kind(LANE_READY).hash(lane.0).byte(u8::MAX)
    }

    pub(crate) fn lane_head_noisy(self, place: Place, lane: Lane) -> KeyBuf {
        place.append(self.kind(LANE_HEAD_NOISY)).hash(lane.0)
    }

    pub(crate) fn dedup(self, bucket: u64, hash: [u8; 16]) -> KeyBuf {
        self.kind(DEDUP).number(bucket).hash(hash)
    }

    pub(crate) fn spec(self, id: u64) -> KeyBuf {
        self.kind(SPEC).number(id)
    }

    pub(crate) fn finished(self, completed: bool, at: Time, id: u64) -> KeyBuf {
        self.kind(FINISHED).number(if completed { 1 } else { 2 }).number(at.0).number(id)
    }

    /// The same in the reverse order.
    pub(crate) fn newest(self, completed: bool, at: Time, id: u64) -> KeyBuf {
        self.newest_of(completed).number(!at.0).number(!id)
    }

    /// First key of the finished jobs of a state, newest first.
    pub(crate) fn newest_of(self, completed: bool) -> KeyBuf {
        self.kind(NEWEST).number(if completed { 1 } else { 2 })
    }

    pub(crate) fn waiting(self, id: u64) -> KeyBuf {
        self.kind(WAITING).number(id)
    }

    /// First key after the finished jobs of a state, in the order of their ends.
    pub(crate) fn finished_end(self, completed: bool) -> KeyBuf {
        self.kind(FINISHED).number(if completed { 2 } else { 3 })
    }

    pub(crate) fn job_id(self, hash: [u8; 16]) -> KeyBuf {
        self.kind(JOB_ID).hash(hash)
    }

    pub(crate) fn job_dedup(self, hash: [u8; 16]) -> KeyBuf {
        self.kind(JOB_DEDUP).hash(hash)
    }

    pub(crate) fn dedup_end(self, at: Time, hash: [u8; 16]) -> KeyBuf {
        self.kind(DEDUP_END).number(at.0).hash(hash)
    }

    pub(crate) fn attempt(self, bucket: u64, hash: [u8; 16]) -> KeyBuf {
        self.kind(ATTEMPT).number(bucket).hash(hash)
    }
}

/// First key of `space` of a bucket of `kind`; that of the next bucket ends it.
pub(crate) fn bucket(space: Space, kind: u8, bucket: u64) -> KeyBuf {
    space.kind(kind).number(bucket)
}

/// The space of `namespace`'s entities.
pub(crate) fn entities(namespace: Namespace) -> Space {
    Space { namespace, id: ENTITIES }
}

pub(crate) fn meta() -> KeyBuf {
    entities(Namespace(0)).kind(META)
}

pub(crate) fn queue(namespace: Namespace, id: u64) -> KeyBuf {
    entities(namespace).kind(QUEUE).number(id)
}

pub(crate) fn counters(namespace: Namespace, id: u64) -> KeyBuf {
    entities(namespace).kind(COUNTERS).number(id)
}

pub(crate) fn topic(namespace: Namespace, id: TopicId) -> KeyBuf {
    entities(namespace).kind(TOPIC).number(id.0)
}

pub(crate) fn topic_counters(namespace: Namespace, id: TopicId) -> KeyBuf {
    entities(namespace).kind(TOPIC_COUNTERS).number(id.0)
}

pub(crate) fn subscription(namespace: Namespace, id: SubscriptionId) -> KeyBuf {
    entities(namespace).kind(SUBSCRIPTION).number(id.0)
}

pub(crate) fn subscription_counters(namespace: Namespace, id: SubscriptionId) -> KeyBuf {
    entities(namespace).kind(SUBSCRIPTION_COUNTERS).number(id.0)
}

pub(crate) fn replay(namespace: Namespace, id: ReplayId) -> KeyBuf {
    entities(namespace).kind(REPLAY).number(id.0)
}

/// How many messages share the payload of a publication.
pub(crate) fn shared(namespace: Namespace, publication: u64) -> KeyBuf {
    entities(namespace).kind(SHARED).number(publication)
}

/// What finished in a queue from a minute on.
pub(crate) fn minutes(namespace: Namespace, id: u64, minute: u64) -> KeyBuf {
    entities(namespace).kind(MINUTES).number(id).number(minute)
}

/// First key of those of a queue, and the first key after them.
pub(crate) fn minutes_of(namespace: Namespace, id: u64) -> (KeyBuf, KeyBuf) {
    let start = entities(namespace).kind(MINUTES).number(id);
    // No ordered number starts with a byte above 8.
    (start, start.byte(u8::MAX))
}

pub(crate) fn due(at: Time, space: Space, id: u64) -> KeyBuf {
    entities(space.namespace).kind(DUE).number(at.0).number(space.id).number(id)
}

/// First key of what is due at `at` or later in `namespace`.
pub(crate) fn due_from(namespace: Namespace, at: Time) -> KeyBuf {
    entities(namespace).kind(DUE).number(at.0)
}

/// First key after all due rows of `namespace`.
pub(crate) fn due_end(namespace: Namespace) -> KeyBuf {
    entities(namespace).kind(DUE + 1)
}

pub(crate) fn body(namespace: Namespace, id: u64) -> KeyBuf {
    entities(namespace).kind(BODY).number(id)
}

/// A row of a job's extras. Like its payload, it stays where it is when the job moves to another queue.
pub(crate) fn extra(namespace: Namespace, id: u64, which: u8, number: u64) -> KeyBuf {
    entities(namespace).kind(EXTRA).number(id).byte(which).number(number)
}

pub(crate) fn garbage(space: Space) -> KeyBuf {
    entities(space.namespace).kind(GARBAGE).number(space.id)
}

pub(crate) fn move_task(namespace: Namespace, id: u64) -> KeyBuf {
    entities(namespace).kind(MOVE).number(id)
}

/// How a child of a job stands. Like its payload, it stays where it is when a job moves to another queue.
pub(crate) fn child(namespace: Namespace, parent: u64, child: u64) -> KeyBuf {
    entities(namespace).kind(CHILD).number(parent).number(child)
}

pub(crate) fn child_result(namespace: Namespace, parent: u64, child: u64) -> KeyBuf {
    entities(namespace).kind(CHILD_RESULT).number(parent).number(child)
}

/// First key of `kind`, `CHILD` or `CHILD_RESULT`, of a job's children, and the first key after them.
pub(crate) fn children(namespace: Namespace, kind: u8, parent: u64) -> (KeyBuf, KeyBuf) {
    let start = entities(namespace).kind(kind).number(parent);
    (start, start.byte(u8::MAX))
}

pub(crate) fn idempotency(namespace: Namespace, bucket: u64, hash: [u8; 16]) -> KeyBuf {
    entities(namespace).kind(IDEMPOTENCY).number(bucket).hash(hash)
}

pub(crate) fn idempotency_buckets(namespace: Namespace) -> KeyBuf {
    entities(namespace).kind(IDEMPOTENCY_BUCKETS)
}

pub(crate) fn flow_task(namespace: Namespace, number: u64) -> KeyBuf {
    entities(namespace).kind(FLOW_TASK).number(number)
}

/// A key of a limiter; that which all share who have none is `None`.
pub(crate) type OneKey = (LimiterId, Option<LimitKey>);

pub(crate) fn limiter(namespace: Namespace, id: LimiterId) -> KeyBuf {
    entities(namespace).kind(LIMITER).number(id.0)
}

pub(crate) fn limit_key(namespace: Namespace, (limiter, key): OneKey) -> KeyBuf {
    with_limit_key(entities(namespace).kind(LIMIT_KEY).number(limiter.0), key)
}

/// First key of what there is of `kind` for a limiter, and the first key after it. For kinds whose keys start with it.
pub(crate) fn of_limiter(namespace: Namespace, kind: u8, id: LimiterId) -> (KeyBuf, KeyBuf) {
    let start = entities(namespace).kind(kind).number(id.0);
    // Neither the keys of a limiter nor numbers start with a byte above 8.
    (start, start.byte(u8::MAX))
}

/// A lane that waits for a key of a limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitingLane {
    pub(crate) limiter: LimiterId,
    pub(crate) key: Option<LimitKey>,
    /// Place of the lane's first message.
    pub(crate) head: Place,
    pub(crate) space: u64,
    pub(crate) lane: Lane,
}

pub(crate) fn limit_waiting(namespace: Namespace, waiting: &WaitingLane) -> KeyBuf {
    let from = limit_waiting_from(namespace, (waiting.limiter, waiting.key), waiting.head);
    from.number(waiting.space).hash(waiting.lane.0)
}

/// First key of the lanes that wait for a key from a place in line on.
pub(crate) fn limit_waiting_from(namespace: Namespace, (limiter, key): OneKey, place: Place) -> KeyBuf {
    place.append(with_limit_key(entities(namespace).kind(LIMIT_WAITING).number(limiter.0), key))
}

/// First key after all lanes that wait for a key.
pub(crate) fn limit_waiting_end(namespace: Namespace, (limiter, key): OneKey) -> KeyBuf {
    // No ordered number starts with a byte above 8.
    with_limit_key(entities(namespace).kind(LIMIT_WAITING).number(limiter.0), key).byte(u8::MAX)
}

pub(crate) fn read_limit_waiting(key: &[u8]) -> Option<WaitingLane> {
    let (limiter, rest) = split_ordered(after_kind(key)?)?;
    let (key, rest) = split_limit_key(rest)?;
    let (head, rest) = Place::split(rest)?;
    let (space, rest) = split_ordered(rest)?;
    let lane = Lane(rest.try_into().ok()?);
    Some(WaitingLane { limiter: LimiterId(limiter), key, head, space, lane })
}

pub(crate) fn limit_wake(namespace: Namespace, at: Time, (limiter, key): OneKey) -> KeyBuf {
    with_limit_key(limit_wake_from(namespace, at).number(limiter.0), key)
}

/// First key of the limiters' keys that are to be looked at again at `at` or later.
pub(crate) fn limit_wake_from(namespace: Namespace, at: Time) -> KeyBuf {
    entities(namespace).kind(LIMIT_WAKE).number(at.0)
}

/// First key after those.
pub(crate) fn limit_wake_end(namespace: Namespace) -> KeyBuf {
    entities(namespace).kind(LIMIT_WAKE + 1)
}

pub(crate) fn read_limit_wake(key: &[u8]) -> Option<(Time, OneKey)> {
    let (at, rest) = split_ordered(after_kind(key)?)?;
    let (limiter, rest) = split_ordered(rest)?;
    let (key, _) = split_limit_key(rest)?;
    Some((Time(at), (LimiterId(limiter), key)))
}

pub(crate) fn permit(namespace: Namespace, limiter: LimiterId, id: u64) -> KeyBuf {
    entities(namespace).kind(PERMIT).number(limiter.0).number(id)
}

fn with_limit_key(buf: KeyBuf, key: Option<LimitKey>) -> KeyBuf {
    match key {
        None => buf.byte(0),
        Some(LimitKey(hash)) => buf.byte(1).hash(hash),
    }
}

fn split_limit_key(bytes: &[u8]) -> Option<(Option<LimitKey>, &[u8])> {
    match bytes.split_first()? {
        (0, rest) => Some((None, rest)),
        (1, rest) => rest.split_first_chunk().map(|(hash, rest)| (Some(LimitKey(*hash)), rest)),
        _ => None,
    }
}

/// The numbers after the kind of a key.
pub(crate) fn numbers<const N: usize>(key: &[u8]) -> Option<[u64; N]> {
    let mut rest = after_kind(key)?;
    let mut numbers = [0; N];
    for number in &mut numbers {
        (*number, rest) = split_ordered(rest)?;
    }
    Some(numbers)
}

/// What follows the kind of a key.
pub(crate) fn after_kind(key: &[u8]) -> Option<&[u8]> {
    let (_, rest) = split_ordered(key)?;
    let (_, rest) = split_ordered(rest)?;
    rest.get(1..)
}

/// The namespace of a key.
pub(crate) fn namespace(key: &[u8]) -> Option<Namespace> {
    split_ordered(key).map(|(id, _)| Namespace(id))
}
