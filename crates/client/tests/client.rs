//! The client against a server of the test's own.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends here")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use support::{PATIENCE, Running, start};
use tokio::sync::{Barrier, Notify, oneshot};
use weir_client::{
    Deduplication, Error, Failure, FailureKind, Job, JobState, LimiterTerms, LimiterUse, NewJob, OnFailure, Queue,
    QueueSettings, Retry, Summary,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Mail {
    to: String,
}

fn mail(to: &str) -> Mail {
    Mail { to: to.to_owned() }
}

async fn queue<T>(running: &Running, name: &str) -> Queue<T> {
    let queue = running.client.queue(name);
    queue.put(&QueueSettings::new().retry(Retry::new().attempts(3).fixed(Duration::ZERO))).await.unwrap();
    queue
}

/// Works until `most` attempts have ended.
async fn work<T, R, Fut>(queue: &Queue<T>, most: usize, work: impl Fn(Job<T>) -> Fut + Send + Sync + 'static) -> Summary
where
    T: serde::de::DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
    Fut: Future<Output = Result<R, Failure>> + Send + 'static,
{
    let (ended, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let told = enough.clone();
    let shutdown = async move { enough.notified().await };
    let worker = queue.worker().concurrency(4);
    let run = worker.run(shutdown, move |job| {
        let (working, ended, told) = (work(job), ended.clone(), told.clone());
        async move {
            let result = working.await;
            if ended.fetch_add(1, Ordering::SeqCst) + 1 == most {
                told.notify_one();
            }
            result
        }
    });
    tokio::time::timeout(PATIENCE, run).await.expect("the worker goes on for ever").unwrap()
}

#[tokio::test]
async fn a_job_is_added_worked_on_and_read() {
    let running = start().await;
    let mails = queue::<Mail>(&running, "mails").await;
    let added = mails.add(NewJob::new(mail("ada")).name("welcome").custom_id("ada-1")).await.unwrap();
    assert!(!added.duplicate);
    assert!(mails.add(NewJob::new(mail("ada")).custom_id("ada-1")).await.unwrap().duplicate);

    let summary = work(&mails, 1, |job| async move {
        assert_eq!((job.data.to.as_str(), job.name.as_deref(), job.attempt), ("ada", Some("welcome"), 1));
        job.progress(json!({ "sent": 1 })).await?;
        job.log("sent").await;
        Ok::<_, Failure>(job.data.to.len())
    })
    .await;
    assert_eq!((summary.completed, summary.failed), (1, 0));

    let found = mails.wait::<usize>(&added.id, PATIENCE).await.unwrap();
    assert_eq!((found.state, found.result, found.data), (JobState::Completed, Some(3), mail("ada")));
    assert_eq!(found.progress, Some(json!({ "sent": 1 })));
}

#[tokio::test]
async fn a_failure_says_what_is_to_be_done() {
    let running = start().await;
    let queue = queue::<String>(&running, "work").await;
    let jobs = queue.add_all(["flaky", "hopeless", "panics", "later"].map(str::to_owned)).await.unwrap();
    let later = Arc::new(AtomicUsize::new(0));
    let summary = work(&queue, 7, move |job| {
        let later = later.clone();
        async move {
            match (job.data.as_str(), job.attempt) {
                ("flaky", 1 | 2) => Err("x".parse::<u8>().unwrap_err().into()),
                ("hopeless", _) => Err(Failure::new("never").fatal()),
                ("panics", 1) => panic!("on purpose"),
                ("later", _) if later.fetch_add(1, Ordering::SeqCst) == 0 => Err(Failure::release(Duration::ZERO)),
                _ => Ok(()),
            }
        }
    })
    .await;
    // The panic's attempt was not counted as one that ended.
    assert_eq!((summary.completed, summary.failed, summary.released), (3, 4, 1), "{summary:?}");

    let [flaky, hopeless, panics, later] = &jobs[..] else { panic!("{jobs:?}") };
    let found = queue.get::<Value>(&flaky.id).await.unwrap();
    let errors: Vec<_> = found.history.iter().filter_map(|attempt| attempt.error.clone()).collect();
    assert_eq!(errors, vec![json!({ "message": "invalid digit found in string" }); 2]);
    let found = queue.get::<Value>(&hopeless.id).await.unwrap();
    assert_eq!((found.state, found.failed, found.failures), (JobState::Failed, Some(FailureKind::Reported), 1));
    let found = queue.get::<Value>(&panics.id).await.unwrap();
    assert_eq!(found.history[0].error, Some(json!({ "message": "on purpose", "panic": true })));
    assert_eq!(queue.get::<Value>(&later.id).await.unwrap().failures, 0);
}

#[tokio::test]
async fn data_of_another_shape_fails_for_good_and_says_why() {
    let running = start().await;
    let numbers = queue::<u32>(&running, "numbers").await;
    let words = running.client.queue::<String>("numbers");
    let word = words.add("seven".to_owned()).await.unwrap();
    numbers.add(8).await.unwrap();
    work(&numbers, 1, |_| async { Ok::<_, Failure>(()) }).await;
    let found = words.wait::<Value>(&word.id, PATIENCE).await.unwrap();
    assert_eq!((found.state, found.failures), (JobState::Failed, 1));
    let said = found.history[0].error.clone().unwrap();
    assert!(said["message"].as_str().unwrap().contains("invalid type: string \"seven\", expected u32"), "{said}");
    let error = numbers.get::<Value>(&word.id).await.unwrap_err();
    assert!(matches!(error, Error::Decode { .. }), "{error}");
}

#[tokio::test]
async fn a_parent_reads_what_its_children_left() {
    let running = start().await;
    let sums = queue::<u32>(&running, "sums").await;
    let parts = queue::<(u32, u32)>(&running, "parts").await;
    let job = NewJob::new(100)
        .child("parts", NewJob::new((1, 2)).on_failure(OnFailure::Fail))
        .child("parts", NewJob::new((3, 4)));
    let sum = sums.add(job).await.unwrap();
    work(&parts, 2, |job| async move { Ok::<_, Failure>(job.data.0 + job.data.1) }).await;
    work(&sums, 1, |job| async move {
        let children = job.children::<u32>().await?;
        Ok::<_, Failure>(job.data + children.iter().filter_map(|child| child.result).sum::<u32>())
    })
    .await;
    assert_eq!(sums.wait(&sum.id, PATIENCE).await.unwrap().result, Some(110));
}

#[tokio::test]
async fn a_job_can_wait_for_children_that_it_adds() {
    let running = start().await;
    let sums = queue::<u32>(&running, "sums").await;
    let parts = queue::<u32>(&running, "parts").await;
    let sum = sums.add(1).await.unwrap();
    let first = work(&sums, 1, |job| async move {
        job.add_child("parts", 5).await?;
        Err::<u32, _>(Failure::wait_for_children())
    });
    assert_eq!(first.await.released, 1);
    work(&parts, 1, |job| async move { Ok::<_, Failure>(job.data) }).await;
    work(&sums, 1, |job| async move {
        let children = job.children::<u32>().await?;
        Ok::<_, Failure>(job.data + children.iter().filter_map(|child| child.result).sum::<u32>())
    })
    .await;
    assert_eq!(sums.wait(&sum.id, PATIENCE).await.unwrap().result, Some(6));
}

#[tokio::test]
async fn as_many_jobs_run_at_once_as_may_and_no_more() {
    let running = start().await;
    let queue = queue::<u32>(&running, "pairs").await;
    queue.add_all(0..8).await.unwrap();
    let (pair, at_once) = (Arc::new(Barrier::new(2)), Arc::new(AtomicUsize::new(0)));
    let (ended, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let told = enough.clone();
    let run = queue.worker().concurrency(2).run(async move { enough.notified().await }, move |_| {
        let (pair, at_once, ended, told) = (pair.clone(), at_once.clone(), ended.clone(), told.clone());
        async move {
            assert!(at_once.fetch_add(1, Ordering::SeqCst) < 2);
            // None gets past here alone.
            pair.wait().await;
            at_once.fetch_sub(1, Ordering::SeqCst);
            if ended.fetch_add(1, Ordering::SeqCst) + 1 == 8 {
                told.notify_one();
            }
            Ok::<_, Failure>(())
        }
    });
    let summary = tokio::time::timeout(PATIENCE, run).await.expect("two run at once").unwrap();
    assert_eq!((summary.completed, summary.failed), (8, 0));
}

#[tokio::test]
async fn a_lease_is_kept_alive_for_as_long_as_it_takes() {
    let running = start().await;
    let queue = queue::<()>(&running, "slow").await;
    let added = queue.add(()).await.unwrap();
    let (end, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, begun) = oneshot::channel();
    let told = std::sync::Mutex::new(Some(told));
    let (working, finished) = (end.clone(), ended.clone());
    let shutdown = async move { finished.notified().await };
    let worker = queue.worker().lease(Duration::from_millis(300));
    let run = tokio::spawn(worker.run(shutdown, move |_| {
        let (working, told) = (working.clone(), told.lock().unwrap().take());
        async move {
            told.expect("it is leased once").send(()).unwrap();
            working.notified().await;
            Ok::<_, Failure>(())
        }
    }));
    begun.await.unwrap();
    // Its lease has ended and begun again once its end has moved by more than its length.
    let first = lease_end(&running, &added.id).await;
    while lease_end(&running, &added.id).await < first + 600 {
        assert_eq!(queue.get::<Value>(&added.id).await.unwrap().state, JobState::Leased);
    }
    end.notify_one();
    queue.wait::<Value>(&added.id, PATIENCE).await.unwrap();
    ended.notify_one();
    let summary = run.await.unwrap().unwrap();
    assert_eq!((summary.completed, summary.lost), (1, 0));
    assert_eq!(queue.get::<Value>(&added.id).await.unwrap().stalls, 0);
}

async fn lease_end(running: &Running, id: &str) -> u64 {
    running.get(&format!("/v1/queues/slow/jobs/{id}")).await["due_at_ms"].as_u64().unwrap()
}

#[tokio::test]
async fn a_job_that_is_cancelled_is_told_and_ends() {
    let running = start().await;
    let queue = queue::<()>(&running, "long").await;
    let added = queue.add(()).await.unwrap();
    let (told, begun) = oneshot::channel();
    let told = std::sync::Mutex::new(Some(told));
    let worker = queue.worker().lease(Duration::from_millis(300));
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let run = tokio::spawn(worker.run(shutdown, move |job| {
        let told = told.lock().unwrap().take();
        async move {
            told.expect("it is leased once").send(()).unwrap();
            job.cancelled().await;
            Err::<(), _>(Failure::new("stopped half way"))
        }
    }));
    begun.await.unwrap();
    queue.cancel(&added.id).await.unwrap();
    let found = queue.wait::<Value>(&added.id, PATIENCE).await.unwrap();
    assert_eq!((found.state, found.failed), (JobState::Failed, Some(FailureKind::Cancelled)));
    stop.send(()).unwrap();
    assert_eq!(run.await.unwrap().unwrap().failed, 1);
}

#[tokio::test]
async fn a_shutdown_gives_back_what_does_not_end_in_time() {
    let running = start().await;
    let queue = queue::<u32>(&running, "stuck").await;
    let added = queue.add_all([1, 2]).await.unwrap();
    let (told, mut begun) = tokio::sync::mpsc::channel(2);
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let worker = queue.worker().concurrency(2).drain(Duration::ZERO);
    let run = tokio::spawn(worker.run(shutdown, move |_| {
        let told = told.clone();
        async move {
            told.send(()).await.unwrap();
            std::future::pending::<Result<(), Failure>>().await
        }
    }));
    begun.recv().await.unwrap();
    begun.recv().await.unwrap();
    stop.send(()).unwrap();
    let summary = run.await.unwrap().unwrap();
    assert_eq!((summary.released, summary.failed), (2, 0));
    for job in added {
        let found = queue.get::<Value>(&job.id).await.unwrap();
        assert_eq!((found.state, found.failures, found.stalls), (JobState::Ready, 0, 0));
    }
}

#[tokio::test]
async fn batches_come_when_they_are_full_and_settle_each_job_alone() {
    let running = start().await;
    let queue = queue::<u32>(&running, "rows").await;
    let jobs = queue.add_all(0..25).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let worker = queue.worker();
    let run =
        tokio::spawn(worker.run_batches(10, Duration::from_millis(1), shutdown, |jobs: Vec<Job<u32>>| async move {
            assert!(jobs.len() <= 10, "{}", jobs.len());
            let result =
                |job: &Job<u32>| if job.data % 10 == 3 { Err(Failure::new("three").fatal()) } else { Ok(job.data) };
            // It forgets one: that is a failure, and it has two more attempts.
            let most =
                if jobs.iter().any(|job| job.data == 24 && job.attempt == 1) { jobs.len() - 1 } else { jobs.len() };
            jobs.iter().map(result).take(most).collect::<Vec<_>>()
        }));
    for (number, job) in (0..).zip(&jobs) {
        let found = queue.wait::<u32>(&job.id, PATIENCE).await.unwrap();
        assert_eq!(found.result, (number % 10 != 3).then_some(number), "{found:?}");
    }
    stop.send(()).unwrap();
    let summary = run.await.unwrap().unwrap();
    assert_eq!((summary.completed, summary.failed), (22, 4), "{summary:?}");
}

#[tokio::test]
async fn a_worker_survives_a_server_that_goes_away() {
    let mut running = start().await;
    let queue = queue::<u32>(&running, "steady").await;
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let worker = queue.worker().concurrency(2);
    let run = tokio::spawn(worker.run(shutdown, |job| async move { Ok::<_, Failure>(job.data) }));
    let first = queue.add(1).await.unwrap();
    assert_eq!(queue.wait(&first.id, PATIENCE).await.unwrap().result, Some(1));
    running.restart().await;
    let second = queue.add(2).await.unwrap();
    assert_eq!(queue.wait(&second.id, PATIENCE).await.unwrap().result, Some(2));
    stop.send(()).unwrap();
    assert_eq!(run.await.unwrap().unwrap().completed, 2);
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_an_error_by_name() {
    let running = start().await;
    let nowhere = running.client.queue::<u32>("nowhere");
    let error = nowhere.add(1).await.unwrap_err();
    assert_eq!(error.code(), Some("queue.not_found"), "{error}");
    let worker = nowhere.worker().run(std::future::pending(), |_| async { Ok::<_, Failure>(()) });
    assert_eq!(worker.await.unwrap_err().code(), Some("queue.not_found"));
    // One that is deleted under a worker, too.
    let gone = queue::<u32>(&running, "gone").await;
    let worker = gone.worker().lease(Duration::from_secs(30));
    let run = tokio::spawn(worker.run(std::future::pending(), |_| async { Ok::<_, Failure>(()) }));
    gone.delete().await.unwrap();
    assert_eq!(run.await.unwrap().unwrap_err().code(), Some("queue.not_found"));
}

#[tokio::test]
async fn a_producer_gathers_and_answers_each_alone() {
    let running = start().await;
    let queue = queue::<String>(&running, "many").await;
    let producer = Arc::new(queue.producer().batch(100).start());
    let adding: Vec<_> = (0..300)
        .map(|n| {
            let producer = producer.clone();
            tokio::spawn(async move {
                // One in a hundred is refused, and those around it are not.
                let name = if n % 100 == 7 { "x".repeat(257) } else { "fine".to_owned() };
                producer.add(NewJob::new(n.to_string()).name(name)).await
            })
        })
        .collect();
    let mut refused = 0;
    for added in adding {
        match added.await.unwrap() {
            Ok(added) => assert!(!added.duplicate),
            Err(error) => {
                assert!(matches!(&error, Error::Refused(problem) if problem.field.is_some()), "{error}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 3);
    Arc::into_inner(producer).unwrap().close().await;
    assert_eq!(queue.info().await.unwrap().counters.ready, 297);
}

#[tokio::test]
async fn a_duplicate_moves_the_time_of_a_job_that_is_delayed() {
    let running = start().await;
    let queue = queue::<u32>(&running, "later").await;
    let hour = Duration::from_hours(1);
    let job = |number, delay| NewJob::new(number).delay(delay).deduplication(Deduplication::reschedule("user-1"));
    let first = queue.add(job(1, hour)).await.unwrap();
    let before = queue.get::<Value>(&first.id).await.unwrap();
    assert!(queue.add(job(2, 3 * hour)).await.unwrap().duplicate);
    let after = queue.get::<Value>(&first.id).await.unwrap();
    assert_eq!((after.state, after.data), (JobState::Delayed, 1));
    assert!(after.due_at_ms.unwrap() >= before.due_at_ms.unwrap() + 2 * 3_600_000, "{after:?}");
}

#[tokio::test]
async fn a_debounced_job_is_replaced_while_it_waits() {
    let running = start().await;
    let queue = queue::<u32>(&running, "quiet").await;
    let hour = Duration::from_hours(1);
    let job = |number| NewJob::new(number).delay(hour).deduplication(Deduplication::debounce("user-1", hour));
    let first = queue.add(job(1)).await.unwrap();
    let second = queue.add(job(2)).await.unwrap();
    assert!(second.duplicate);
    let found = queue.get::<Value>(&first.id).await.unwrap();
    assert_eq!((found.state, found.data), (JobState::Delayed, 2));
    queue.promote(&first.id).await.unwrap();
    assert_eq!(queue.get::<Value>(&first.id).await.unwrap().state, JobState::Ready);
}

#[tokio::test]
async fn throttling_pauses_and_costs_no_attempt() {
    let running = start().await;
    running.client.limiter("provider").put(&LimiterTerms::new().concurrency(10)).await.unwrap();
    let queue = running.client.queue::<u32>("calls");
    queue.put(&QueueSettings::new().limiter(LimiterUse::new("provider"))).await.unwrap();
    let job = queue.add(1).await.unwrap();
    let summary = work(&queue, 1, |_| async { Err::<(), _>(Failure::throttled(Duration::from_hours(1))) }).await;
    assert_eq!((summary.released, summary.failed), (1, 0));
    let why = queue.explain(&job.id).await.unwrap();
    assert_eq!((why.state, why.holds[0].by.as_str()), (JobState::Ready, "limiter"), "{why:?}");
    assert_eq!(queue.get::<Value>(&job.id).await.unwrap().failures, 0);
}

#[tokio::test]
async fn a_permit_is_held_until_it_is_released() {
    let running = start().await;
    let limiter = running.client.limiter("licences");
    limiter.put(&LimiterTerms::new().concurrency(1)).await.unwrap();
    let minute = Duration::from_mins(1);
    let first = limiter.acquire(None, Duration::ZERO, minute).await.unwrap().expect("nobody has it");
    assert!(limiter.acquire(None, Duration::ZERO, minute).await.unwrap().is_none());
    assert!(limiter.acquire(Some("other"), Duration::ZERO, minute).await.unwrap().is_some());
    first.release().await.unwrap();
    assert!(limiter.acquire(None, PATIENCE, minute).await.unwrap().is_some());
}
