//! What happens to jobs and queues, for those who watch: the last events in a ring, and who is told of them.
//!
//! The engine tells of the jobs of a queue while somebody watches it, and for a minute more, so that who lost the
//! connection finds on return what happened meanwhile. Who comes too late, or reads too slowly, is told of the gap.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use weir_aws::sqs::Deduplication;
use weir_aws::sqs::payload::Payload;
use weir_core::Time;
use weir_core::api::job::{JobEvent, JobEventKind, SameId};
use weir_core::api::{Event, Queue, QueueId};

use crate::fresh::now_ms;
use crate::native::{CUSTOM_ID, NAME, own};

/// Most events that are kept.
const EVENTS_MAX: usize = 10_000;
/// Most bytes of what they carry.
const BYTES_MAX: usize = 8 << 20;

/// The ring, and who watches what.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    /// Counts what happened: those who wait see it change.
    changed: watch::Sender<u64>,
    /// Tells this life of the server from others: their numbers mean nothing here.
    life: u32,
}

#[derive(Debug, Default)]
struct State {
    ring: VecDeque<Told>,
    bytes: usize,
    /// The number of the next event.
    next: u64,
    watched: HashMap<QueueId, Watched>,
}

/// An event under its number.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) number: u64,
    pub(crate) queue: Arc<Queue>,
    pub(crate) what: What,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Something to a job; what its sender called one that was added, or was not because of this one.
    Job(JobEvent, Called),
    /// The queue was paused, or paused for another time, or resumed.
    Pause(Pause),
    /// What a program says.
    Published(Published),
}

/// A queue was paused or resumed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    pub(crate) at: Time,
    /// When it goes on by itself, [`Time::NEVER`] if it does not; nothing where it was resumed.
    pub(crate) until: Option<Time>,
}

/// An event of a program's own.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) at: Time,
    pub(crate) name: Box<str>,
    /// JSON.
    pub(crate) data: Arc<[u8]>,
}

/// How a sender calls a job.
#[derive(Clone, Debug, Default)]
pub(crate) struct Called {
    pub(crate) name: Option<Box<str>>,
    pub(crate) custom_id: Option<Box<str>>,
    /// Of one that was not added because of this.
    pub(crate) deduplication_id: Option<Box<str>>,
}

#[derive(Debug)]
struct Watched {
    queue: Arc<Queue>,
    /// How many watch it now.
    watchers: usize,
    /// Counts those who came: whether anybody did can so be told later.
    visits: u64,
    /// The number of the first event that is told of it.
    since: u64,
}

/// What there is to be told.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) events: Vec<Told>,
    /// The number to ask from next.
    pub(crate) next: u64,
    /// Whether events before these are not known any more.
    pub(crate) gap: bool,
}

impl Hub {
    pub(crate) fn new(life: u32) -> Self {
        let state = State { next: 1, ..State::default() };
        Self { state: Mutex::new(state), changed: watch::Sender::new(0), life }
    }

    /// Takes in what the engine tells. Called on its thread: does little.
    pub(crate) fn take(&self, event: &Event) {
        match event {
            Event::Job(event) => self.state.lock().happened(event),
            Event::QueueDeleted(queue) => drop(self.state.lock().watched.remove(&queue.id)),
            Event::QueueChanged(queue) => self.state.lock().changed(queue),
            _ => return,
        }
        self.changed.send_modify(|count| *count += 1);
    }

    /// Sees every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Tells those who watch a queue what a program says. Gives the number of the event if anybody watches it.
    pub(crate) fn publish(&self, queue: QueueId, published: Published) -> Option<u64> {
        let number = self.state.lock().push(queue, What::Published(published))?;
        self.changed.send_modify(|count| *count += 1);
        Some(number)
    }

    /// Counts one who watches a queue; whether the engine is to be told.
    pub(crate) fn watch(&self, queue: &Arc<Queue>) -> bool {
        let mut state = self.state.lock();
        let since = state.next;
        let mut is_new = false;
        let watched = state.watched.entry(queue.id).or_insert_with(|| {
            is_new = true;
            Watched { queue: Arc::clone(queue), watchers: 0, visits: 0, since }
        });
        watched.watchers += 1;
        watched.visits += 1;
        is_new
    }

    /// Takes back one who watched a queue. Gives, for the last one, what [`Hub::forget`] wants.
    pub(crate) fn leave(&self, queue: QueueId) -> Option<u64> {
        let mut state = self.state.lock();
        let watched = state.watched.get_mut(&queue)?;
        watched.watchers -= 1;
        (watched.watchers == 0).then_some(watched.visits)
    }

    /// Forgets a queue that nobody came back to; whether the engine is to be told.
    pub(crate) fn forget(&self, queue: QueueId, visits: u64) -> bool {
        let mut state = self.state.lock();
        let is_left =
            state.watched.get(&queue).is_some_and(|watched| watched.watchers == 0 && watched.visits == visits);
        if is_left {
            state.watched.remove(&queue);
        }
        is_left
    }

    /// The number of the next event.
    pub(crate) fn next(&self) -> u64 {
        self.state.lock().next
    }

    /// What happened to `queues` from the event of this number on.
    pub(crate) fn news(&self, queues: &[QueueId], from: u64, max: usize) -> News {
        let state = self.state.lock();
        let first = state.ring.front().map_or(state.next, |told| told.number);
        let unwatched = |queue: &QueueId| state.watched.get(queue).is_some_and(|watched| watched.since > from);
        let gap = from < first || queues.iter().any(unwatched);
        let skipped = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        let mut news = News { events: Vec::new(), next: state.next, gap };
        for told in state.ring.iter().skip(skipped) {
            if news.events.len() == max {
                news.next = told.number;
                break;
            }
            if queues.contains(&told.queue.id) {
                news.events.push(told.clone());
            }
        }
        news
    }

    /// The id of an event as clients know it.
    pub(crate) fn id(&self, number: u64) -> String {
        format!("{:08x}-{number}", self.life)
    }

    /// The number of an event that a client knows; `None` for one of another life, or of none.
    pub(crate) fn number(&self, id: &str) -> Option<u64> {
        let (life, number) = id.split_once('-')?;
        (u32::from_str_radix(life, 16).ok()? == self.life).then(|| number.parse().ok()).flatten()
    }
}

impl State {
    fn happened(&mut self, event: &JobEvent) {
        let mut event = event.clone();
        let called = called(&mut event.kind);
        self.push(event.queue, What::Job(event, called));
    }

    fn changed(&mut self, queue: &Arc<Queue>) {
        let Some(watched) = self.watched.get_mut(&queue.id) else { return };
        let before = std::mem::replace(&mut watched.queue, Arc::clone(queue));
        if before.paused_until != queue.paused_until {
            let at = Time(now_ms());
            self.push(queue.id, What::Pause(Pause { at, until: queue.paused_until }));
        }
    }

    fn push(&mut self, queue: QueueId, what: What) -> Option<u64> {
        // Of a queue that is not watched any more, the last events may still be on their way.
        let watched = self.watched.get(&queue)?;
        let number = self.next;
        let told = Told { number, queue: Arc::clone(&watched.queue), what };
        self.next += 1;
        self.bytes += bytes(&told);
        self.ring.push_back(told);
        while self.ring.len() > EVENTS_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.ring.pop_front() else { break };
            self.bytes -= bytes(&oldest);
        }
        Some(number)
    }
}

/// Takes the payload out of the event: of that the names are told, and no more is kept.
fn called(kind: &mut JobEventKind) -> Called {
    let (by, payload) = match kind {
        JobEventKind::Added(_, payload) => (None, payload),
        JobEventKind::Deduplicated(by, payload) => (Some(*by), payload),
        _ => return Called::default(),
    };
    let Some(payload) = payload.take() else { return Called::default() };
    // One that cannot be read is found by who leases it.
    let Ok(payload) = Payload::decode(&payload) else { return Called::default() };
    let text = |name| own(&payload.attributes, name).map(Box::from);
    let deduplication_id = match (by, payload.deduplication) {
        (Some(SameId::Deduplication), Some(Deduplication::Id(id))) => Some(Box::from(id)),
        _ => None,
    };
    Called { name: text(NAME), custom_id: text(CUSTOM_ID), deduplication_id }
}

fn bytes(told: &Told) -> usize {
    match &told.what {
        What::Job(event, Called { name, custom_id, deduplication_id }) => {
            let called =
                [name, custom_id, deduplication_id].into_iter().flatten().map(|text| text.len()).sum::<usize>();
            called + carried(&event.kind)
        }
        What::Pause(_) => 0,
        What::Published(published) => published.name.len() + published.data.len(),
    }
}

fn carried(kind: &JobEventKind) -> usize {
    match kind {
        JobEventKind::Progress(bytes)
        | JobEventKind::Completed(Some(bytes))
        | JobEventKind::AttemptFailed(_, bytes)
        | JobEventKind::Failed(_, bytes) => bytes.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use weir_aws::sqs::payload::{Attribute, Value};
    use weir_core::api::{Config, Kind, Namespace, Tags};

    use super::*;

    fn queue(id: u64) -> Arc<Queue> {
        Arc::new(Queue {
            id: QueueId(id),
            namespace: Namespace(0),
            name: format!("q{id}"),
            kind: Kind::Standard,
            config: Config::default(),
            version: 1,
            created_at: Time(0),
            modified_at: Time(0),
            tags: Tags::new(),
            paused_until: None,
            subscription: None,
        })
    }

    fn happens(hub: &Hub, queue: u64, job: u64) {
        let kind = JobEventKind::Started;
        let event = JobEvent { namespace: Namespace(0), queue: QueueId(queue), job, at: Time(1), kind };
        hub.take(&Event::Job(event));
    }

    fn jobs(news: &News) -> Vec<u64> {
        let job = |told: &Told| if let What::Job(event, _) = &told.what { Some(event.job) } else { None };
        news.events.iter().filter_map(job).collect()
    }

    #[test]
    fn who_watches_is_told_of_its_queues_and_goes_on_where_it_was() {
        let hub = Hub::new(7);
        assert!(hub.watch(&queue(1)) && hub.watch(&queue(2)) && !hub.watch(&queue(1)));
        let from = hub.next();
        for (queue, job) in [(1, 10), (2, 20), (3, 30), (1, 11), (1, 12)] {
            happens(&hub, queue, job);
        }
        let news = hub.news(&[QueueId(1)], from, 2);
        assert_eq!((jobs(&news), news.gap), (vec![10, 11], false));
        let news = hub.news(&[QueueId(1)], news.next, 2);
        assert_eq!(jobs(&news), [12]);
        assert_eq!(jobs(&hub.news(&[QueueId(1), QueueId(2)], from, 9)), [10, 20, 11, 12]);
        assert_eq!(hub.number(&hub.id(5)), Some(5));
        assert_eq!(hub.number("00000008-5"), None);
    }

    #[test]
    fn who_watches_is_told_of_pauses_and_of_what_programs_say() {
        let hub = Hub::new(7);
        let said = || Published { at: Time(1), name: "sale".into(), data: Arc::from(&b"{}"[..]) };
        assert_eq!(hub.publish(QueueId(1), said()), None, "nobody is told");
        hub.watch(&queue(1));
        let from = hub.next();
        let paused_until = |until| Arc::new(Queue { paused_until: until, ..(*queue(1)).clone() });
        hub.take(&Event::QueueChanged(paused_until(Some(Time::NEVER))));
        hub.take(&Event::QueueChanged(Arc::new(Queue { version: 2, ..(*paused_until(Some(Time::NEVER))).clone() })));
        assert_eq!(hub.publish(QueueId(1), said()), Some(from + 1));
        hub.take(&Event::QueueChanged(paused_until(None)));
        let told: Vec<_> = hub.news(&[QueueId(1)], from, 9).events.into_iter().map(|told| told.what).collect();
        let [What::Pause(paused), What::Published(said), What::Pause(resumed)] = &told[..] else {
            panic!("{told:?}");
        };
        assert_eq!((paused.until, &*said.name, resumed.until), (Some(Time::NEVER), "sale", None));
    }

    #[test]
    fn what_kept_another_job_away_is_told_with_the_ids_of_that() {
        let payload = Payload {
            uuid: [0; 16],
            group_id: None,
            deduplication: Some(Deduplication::Id("user-1")),
            trace_header: None,
            attributes: vec![Attribute { name: CUSTOM_ID, data_type: "String", value: Value::Text("mail-2") }],
            body: "null",
            is_json: true,
            publication: None,
        };
        for (by, deduplication_id) in [(SameId::Deduplication, Some("user-1")), (SameId::Custom, None)] {
            let mut kind = JobEventKind::Deduplicated(by, Some(payload.encode().into()));
            let called = called(&mut kind);
            assert_eq!(called.custom_id.as_deref(), Some("mail-2"));
            assert_eq!(called.deduplication_id.as_deref(), deduplication_id);
            assert_eq!(kind, JobEventKind::Deduplicated(by, None), "the payload is not kept");
        }
    }

    #[test]
    fn a_gap_is_told() {
        let hub = Hub::new(7);
        hub.watch(&queue(1));
        for job in 0..=EVENTS_MAX as u64 {
            happens(&hub, 1, job);
        }
        assert!(hub.news(&[QueueId(1)], 1, 9).gap);
        assert!(!hub.news(&[QueueId(1)], 2, 9).gap);
        hub.watch(&queue(2));
        assert!(hub.news(&[QueueId(2)], 2, 9).gap, "nobody was told of it before");
    }

    #[test]
    fn a_queue_is_forgotten_once_nobody_came_back() {
        let hub = Hub::new(7);
        hub.watch(&queue(1));
        let visits = hub.leave(QueueId(1)).unwrap();
        assert!(!hub.watch(&queue(1)), "it is watched still");
        assert!(!hub.forget(QueueId(1), visits));
        let visits = hub.leave(QueueId(1)).unwrap();
        assert!(hub.forget(QueueId(1), visits));
        assert!(hub.watch(&queue(1)), "the engine has to be told again");
    }
}
