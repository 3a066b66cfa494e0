//! What is told of jobs: all about one, its log, its end to who waits for it, and what happens to those of a queue.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that stops here has failed")]

use crate::support::*;
use weir_core::Time;
use weir_core::api::job::*;
use weir_core::api::*;

const RESULT: &[u8] = b"result";

fn describe(queue: QueueId, job: u64, wait_ms: u64) -> Command {
    Command::DescribeJob { queue, job: JobRef::Id(job), wait_ms }
}

fn done() -> Settlement {
    Settlement::Complete { result: Some(RESULT.to_vec()) }
}

fn heartbeat(progress: &[u8], logs: &[&[u8]]) -> Settlement {
    let logs = logs.iter().map(|line| line.to_vec()).collect();
    Settlement::Extend { lease_ms: None, progress: Some(progress.to_vec()), logs }
}

impl World {
    fn job(&mut self, queue: QueueId, job: u64) -> Job {
        let token = self.give(describe(queue, job, 0));
        self.told(token).expect("an answer at once")
    }

    fn told(&mut self, token: Token) -> Option<Job> {
        match self.answer(token)?.unwrap() {
            Reply::Job(job) => {
                // All that the answer refers to is there.
                assert!(job.payload_keys().all(|key| self.rows.all.contains_key(key)), "{job:?}");
                Some(*job)
            }
            other => panic!("{other:?}"),
        }
    }

    fn text(&self, extra: Option<&Extra>) -> Option<String> {
        extra.map(|extra| match extra {
            Extra::Stored(key) => String::from_utf8(self.rows.all[key].clone()).unwrap(),
            Extra::Inline(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        })
    }

    fn log(&mut self, queue: QueueId, job: u64, from: u64, max: u32) -> (u64, Vec<String>, u64) {
        match self.ask(Command::JobLogs { queue, job: JobRef::Id(job), from, max }).unwrap() {
            Reply::Logs { from, lines, total } => {
                let text = |key| String::from_utf8(self.rows.all[&key].clone()).unwrap();
                (from, lines.into_iter().map(text).collect(), total)
            }
            other => panic!("{other:?}"),
        }
    }

    fn happened(&mut self) -> Vec<(u64, JobEventKind)> {
        let told = std::mem::take(&mut self.events);
        told.into_iter()
            .filter_map(|event| match event {
                Event::Job(event) => Some((event.job, event.kind)),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn everything_about_a_job_is_told_whatever_became_of_it() {
    for mut world in [World::new(), World::cold(), World::newborn()] {
        let queue = world.create("a", Config { retry: retry(2, 1_000), timeout_ms: Some(9_000), ..Config::default() });
        let options = JobOptions { custom_id: Some([5; 16]), retry: Some(retry(3, 500)), ..JobOptions::default() };
        let id = world.add(queue, NewMessage { priority: 7, ..job("work", options) }).unwrap().id;
        let told = world.job(queue, id);
        assert_eq!((told.state, told.priority, told.started_at), (JobState::Ready, 7, None));
        assert_eq!(told.retry, retry(3, 500));
        let got = world.lease_one(queue);
        world.settle(queue, got.handle, heartbeat(b"10 %", &[b"one", b"two"])).unwrap();
        world.settle(queue, got.handle, heartbeat(b"20 %", &[b"three"])).unwrap();
        world.fail(queue, got.handle).unwrap();
        world.after(500);
        world.lease_one(queue);
        world.after(9_000);
        let by_name = Command::DescribeJob { queue, job: JobRef::Custom([5; 16]), wait_ms: 0 };
        let Reply::Job(told) = world.ask(by_name).unwrap() else { panic!("another answer") };
        assert_eq!((told.id, told.state, told.failures), (id, JobState::Delayed, 2));
        assert_eq!(told.due, Some(Time(world.now.0 + 500)));
        let kinds: Vec<_> = told.history.iter().map(|attempt| (attempt.grant, attempt.kind)).collect();
        assert_eq!(kinds, [(1, FailureKind::Reported), (2, FailureKind::TimedOut)]);
        assert_eq!(world.text(told.history[0].failure.as_ref()).as_deref(), Some("broken"));
        assert_eq!(told.history[1].failure, None);
        let progress = told.progress.clone().map(Extra::Stored);
        assert_eq!(world.text(progress.as_ref()).as_deref(), Some("20 %"));
        assert_eq!(world.log(queue, id, 1, 10), (1, vec!["two".to_owned(), "three".to_owned()], 3));
        world.after(500);
        let got = world.lease_one(queue);
        world.settle(queue, got.handle, done()).unwrap();
        world.restart();
        let told = world.job(queue, id);
        assert_eq!((told.state, told.finished_at, told.due), (JobState::Completed, Some(world.now), None));
        assert_eq!(world.text(told.result.as_ref()).as_deref(), Some("result"));
        assert_eq!(world.ask(describe(queue, id + 1, 0)), Err(Error::JobNotFound));
    }
}

#[test]
fn the_end_of_a_job_is_told_to_those_who_wait_for_it() {
    for keep in [Keep::ALL, Keep::NONE] {
        for mut world in [World::new(), World::cold(), World::newborn()] {
            let config = Config { keep_completed: keep, keep_failed: keep, retry: retry(1, 0), ..Config::default() };
            let queue = world.create("a", config);
            let ids: Vec<u64> = (0..4).map(|_| world.add(queue, message("work")).unwrap().id).collect();
            let tokens: Vec<Token> =
                ids.iter().chain(&ids).map(|&id| world.give(describe(queue, id, 10_000))).collect();
            let got = world.lease(queue, 3);
            assert_eq!(world.told(tokens[0]), None);
            let failure = Settlement::Fail { failure: b"broken".to_vec(), again: Again::ByPolicy };
            world.settle_all(queue, vec![(got[0].handle, done()), (got[1].handle, failure)]).unwrap();
            world.delete(queue, got[2].handle).unwrap();
            for round in [0, 4] {
                let told = world.told(tokens[round]).unwrap();
                assert_eq!((told.id, told.state), (ids[0], JobState::Completed));
                assert_eq!(world.text(told.result.as_ref()).as_deref(), Some("result"));
                let told = world.told(tokens[round + 1]).unwrap();
                assert_eq!((told.id, told.state, told.failed), (ids[1], JobState::Failed, Some(FailureKind::Reported)));
                let last = told.history.last().unwrap();
                assert_eq!((last.grant, world.text(last.failure.as_ref()).as_deref()), (1, Some("broken")));
                assert_eq!(world.told(tokens[round + 2]).unwrap().state, JobState::Completed);
            }
            world.after(9_999);
            assert_eq!(world.told(tokens[3]), None);
            world.after(1);
            assert_eq!(world.told(tokens[3]).unwrap().state, JobState::Ready, "the time is over");
            // Who asks after the end is answered at once.
            if keep == Keep::ALL {
                assert_eq!(world.job(queue, ids[0]).state, JobState::Completed);
            }
        }
    }
}

#[test]
fn who_waits_for_a_job_learns_that_it_is_gone() {
    for mut world in [World::new(), World::cold()] {
        let redrive = Some(Redrive { target: "dead".into(), receives_max: 100 });
        let config = Config { redrive, retry: retry(1, 0), retention_ms: 60_000, ..Config::default() };
        let queue = world.create("a", config);
        let dead = world.create("dead", Config::default());
        let add = |world: &mut World| world.add(queue, message("work")).unwrap().id;
        let failed = add(&mut world);
        let token = world.give(describe(queue, failed, 1_000_000));
        let got = world.lease_one(queue);
        world.fail(queue, got.handle).unwrap();
        let told = world.told(token).unwrap();
        assert_eq!((told.state, told.failed), (JobState::Failed, Some(FailureKind::Reported)));
        assert_eq!(world.job(dead, failed).history.len(), 1, "what became of it goes with it");
        let moved = add(&mut world);
        let old = add(&mut world);
        let purged = add(&mut world);
        let tokens = [moved, old, purged].map(|id| world.give(describe(queue, id, 1_000_000)));
        world.ask(Command::Move { queue, to: dead, ids: vec![moved] }).unwrap();
        assert_eq!(world.told(tokens[0]).unwrap().state, JobState::Removed);
        let command = Command::ChangeJobs { queue, jobs: vec![JobRef::Id(old)], change: JobChange::Remove };
        world.ask(command).unwrap();
        assert_eq!(world.told(tokens[1]).unwrap().state, JobState::Removed);
        world.ask(Command::PurgeQueue { queue }).unwrap();
        assert_eq!(world.told(tokens[2]).unwrap().state, JobState::Removed);
        let expired = add(&mut world);
        let token = world.give(describe(queue, expired, 1_000_000));
        world.after(60_000);
        assert_eq!(world.told(token).unwrap().state, JobState::Removed);
        let deleted = add(&mut world);
        let tokens = [1, 2].map(|_| world.give(describe(queue, deleted, 1_000_000)));
        world.give(Command::Cancel { receive: tokens[0] });
        assert_eq!(world.told(tokens[0]).unwrap().state, JobState::Ready);
        world.ask(Command::DeleteQueue { queue }).unwrap();
        assert_eq!(world.answer(tokens[1]), Some(Err(Error::QueueNotFound)));
    }
}

#[test]
fn nobody_waits_for_a_job_once_all_waits_are_ended() {
    let mut world = World::new();
    let queue = world.create("a", Config::default());
    let id = world.add(queue, message("work")).unwrap().id;
    let token = world.give(describe(queue, id, 10_000));
    let mut out = Output::default();
    world.engine.end_all_waits(&mut out);
    assert!(matches!(&out.replies[..], [(answered, Ok(Reply::Job(job)))] if *answered == token && job.id == id));
    let token = world.give(describe(queue, id, 10_000));
    assert_eq!(world.told(token).unwrap().state, JobState::Ready);
    assert_eq!(world.engine.next_deadline().0.min(START.0 + 10_001), START.0 + 10_001, "nothing is left to wait for");
}

#[test]
fn logs_and_history_keep_what_came_last() {
    let mut world = World::newborn();
    let config = Config { retry: retry(100, 0), keep_completed: Keep::NONE, ..Config::default() };
    let queue = world.create("a", config);
    let id = world.add(queue, message("work")).unwrap().id;
    let lines = |range: std::ops::Range<u32>| range.map(|n| n.to_string().into_bytes()).collect::<Vec<_>>();
    let report =
        |logs| Command::Report { queue, job: JobRef::Id(id), progress: Some(b"x".to_vec()), logs, logs_max: None };
    world.ask(report(lines(0..600))).unwrap();
    world.ask(report(lines(600..1_100))).unwrap();
    assert_eq!(world.log(queue, id, 0, 2), (100, vec!["100".to_owned(), "101".to_owned()], 1_100));
    assert_eq!(world.log(queue, id, 1_099, 9), (1_099, vec!["1099".to_owned()], 1_100));
    assert_eq!(world.log(queue, id, 5_000, 9), (1_100, Vec::new(), 1_100));
    let trim = |logs_max| Command::Report {
        queue,
        job: JobRef::Id(id),
        progress: None,
        logs: lines(0..1),
        logs_max: Some(logs_max),
    };
    world.ask(trim(2)).unwrap();
    assert_eq!(world.log(queue, id, 0, 9), (1_099, vec!["1099".to_owned(), "0".to_owned()], 1_101));
    world.ask(trim(0)).unwrap();
    assert_eq!(world.log(queue, id, 0, 9), (1_102, Vec::new(), 1_102));
    let refused = world.ask(report(lines(0..1_001)));
    assert!(matches!(refused, Err(Error::LimitExceeded { .. })), "{refused:?}");
    for _ in 0..FAILURES_KEPT + 3 {
        let got = world.lease_one(queue);
        world.fail(queue, got.handle).unwrap();
    }
    let told = world.job(queue, id);
    assert_eq!(told.history.len(), FAILURES_KEPT);
    assert_eq!(told.history[0].grant, 4);
    let got = world.lease_one(queue);
    world.complete(queue, got.handle).unwrap();
    world.assert_no_rows_of_jobs();
}

#[test]
fn what_happens_to_the_jobs_of_a_queue_is_told_while_somebody_watches() {
    let mut world = World::new();
    let config = Config { retry: retry(2, 1_000), visibility_ms: 5_000, keep_failed: Keep::NONE, ..Config::default() };
    let queue = world.create("a", config);
    let unseen = world.add(queue, message("unseen")).unwrap().id;
    assert_eq!(world.happened(), []);
    let watch = |watch| Command::WatchQueue { queue, watch };
    world.ask(watch(true)).unwrap();
    world.ask(watch(true)).unwrap();
    world.ask(watch(false)).unwrap();
    let named = || job("work", JobOptions { custom_id: Some([5; 16]), ..JobOptions::default() });
    let id = world.add(queue, named()).unwrap().id;
    world.add(queue, named()).unwrap();
    let got = world.lease(queue, 2);
    world.settle(queue, got[0].handle, done()).unwrap();
    world.settle(queue, got[1].handle, heartbeat(b"10 %", &[])).unwrap();
    world.fail(queue, got[1].handle).unwrap();
    let due = Time(world.now.0 + 1_000);
    world.after(1_000);
    world.lease_one(queue);
    world.after(5_000);
    let got = world.lease_one(queue);
    world.fail(queue, got.handle).unwrap();
    let reason: std::sync::Arc<[u8]> = (*b"broken").into();
    let expected = [
        (id, JobEventKind::Added(JobState::Ready, Some(named().payload.into()))),
        (id, JobEventKind::Deduplicated(SameId::Custom, Some(named().payload.into()))),
        (unseen, JobEventKind::Started),
        (id, JobEventKind::Started),
        (unseen, JobEventKind::Completed(Some(RESULT.into()))),
        (id, JobEventKind::Progress((*b"10 %").into())),
        (id, JobEventKind::AttemptFailed(FailureKind::Reported, reason.clone())),
        (id, JobEventKind::Delayed(due)),
        (id, JobEventKind::Ready),
        (id, JobEventKind::Started),
        (id, JobEventKind::Stalled),
        (id, JobEventKind::Started),
        (id, JobEventKind::Failed(FailureKind::Reported, reason)),
    ];
    assert_eq!(world.happened(), expected);
    world.ask(watch(false)).unwrap();
    world.add(queue, message("unseen")).unwrap();
    assert_eq!(world.happened(), []);
}

#[test]
fn an_answer_that_needs_cold_rows_comes_once_they_are_there() {
    let mut world = World::cold();
    let config = Config { retry: retry(9, 0), ..Config::default() };
    let queue = world.create("a", config);
    let id = world.add(queue, message("work")).unwrap().id;
    for _ in 0..3 {
        let got = world.lease_one(queue);
        world.fail(queue, got.handle).unwrap();
    }
    let token = world.give(describe(queue, id, 10_000));
    let got = world.lease_one(queue);
    world.settle(queue, got.handle, done()).unwrap();
    let told = world.told(token).unwrap();
    assert_eq!((told.state, told.history.len()), (JobState::Completed, 3));
}
