//! A queue whose jobs carry one type.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use hyper::Method;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::client::{Client, idempotency_key};
use crate::error::Error;
use crate::info::{Children, Explanation, JobInfo, QueueInfo};
use crate::new_job::{NewJob, ms};
use crate::producer::ProducerBuilder;
use crate::settings::QueueSettings;
use crate::worker::WorkerBuilder;

/// A queue whose jobs carry a `T`. Cheap to clone.
///
/// What another program put there as something else is not lost: see [`WorkerBuilder`].
pub struct Queue<T> {
    client: Client,
    name: String,
    carries: PhantomData<fn(T) -> T>,
}

/// A job that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Added {
    /// Its id: of the first one where this is a duplicate.
    pub id: String,
    /// Whether nothing was added, because of a custom id or a deduplication id.
    #[serde(default)]
    pub duplicate: bool,
}

#[derive(Deserialize)]
pub(crate) struct AddedJobs {
    pub(crate) jobs: Vec<Added>,
}

#[derive(Serialize)]
pub(crate) struct JobsToAdd<'a> {
    pub(crate) jobs: &'a [Box<RawValue>],
}

#[derive(Serialize)]
struct Pause {
    #[serde(skip_serializing_if = "Option::is_none")]
    for_ms: Option<u64>,
}

#[derive(Deserialize)]
struct CreatedQueue {
    queue: QueueInfo,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self::new(self.client.clone(), self.name.clone())
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("name", &self.name).field("url", &self.client.url()).finish_non_exhaustive()
    }
}

impl<T> Queue<T> {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self { client, name, carries: PhantomData }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server that it is at.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A worker of its jobs.
    pub fn worker(&self) -> WorkerBuilder<T> {
        WorkerBuilder::new(self.clone())
    }

    /// Creates the queue with this configuration, or gives the one that there is this configuration. What is not said
    /// gets its default.
    pub async fn put(&self, settings: &QueueSettings) -> Result<QueueInfo, Error> {
        let body = json("the configuration of a queue", settings)?;
        let call = self.client.call_to(Method::PUT, &["queues", &self.name]).body(body);
        self.client.send::<CreatedQueue>(&call).await.map(|created| created.queue)
    }

    /// Changes what is said of the configuration, and leaves the rest. Errors: `queue.not_found`.
    pub async fn configure(&self, settings: &QueueSettings) -> Result<QueueInfo, Error> {
        let body = json("the configuration of a queue", settings)?;
        self.client.send(&self.client.call_to(Method::PATCH, &["queues", &self.name]).body(body)).await
    }

    /// How it stands. Errors: `queue.not_found`.
    pub async fn info(&self) -> Result<QueueInfo, Error> {
        self.client.send(&self.client.call_to(Method::GET, &["queues", &self.name])).await
    }

    /// Deletes it with all its jobs. Errors: `queue.not_found`.
    pub async fn delete(&self) -> Result<(), Error> {
        self.done(self.client.call_to(Method::DELETE, &["queues", &self.name])).await
    }

    /// Gives out nothing, through no door, for so long or until it is resumed. What is being worked on goes on.
    pub async fn pause(&self, time: Option<Duration>) -> Result<(), Error> {
        let body = json("a pause", &Pause { for_ms: time.map(ms) })?;
        self.done(self.client.call_to(Method::POST, &["queues", &self.name, "pause"]).body(body)).await
    }

    /// Ends a pause.
    pub async fn resume(&self) -> Result<(), Error> {
        self.done(self.client.call_to(Method::POST, &["queues", &self.name, "resume"])).await
    }

    /// Cancels a job: one that waits has failed at once; who works on one is told with the next heartbeat.
    pub async fn cancel(&self, id: &str) -> Result<(), Error> {
        self.done(self.client.call_to(Method::POST, &["queues", &self.name, "jobs", id, "cancel"])).await
    }

    /// Takes a job away without a trace. Errors: `job.state` while it is being worked on.
    pub async fn remove(&self, id: &str) -> Result<(), Error> {
        self.done(self.client.call_to(Method::DELETE, &["queues", &self.name, "jobs", id])).await
    }

    /// Runs a finished job again, with all its attempts.
    pub async fn retry(&self, id: &str) -> Result<(), Error> {
        self.done(self.client.call_to(Method::POST, &["queues", &self.name, "jobs", id, "retry"])).await
    }

    /// Ends the delay of a job.
    pub async fn promote(&self, id: &str) -> Result<(), Error> {
        self.done(self.client.call_to(Method::POST, &["queues", &self.name, "jobs", id, "promote"])).await
    }

    /// Why a job does not run yet.
    pub async fn explain(&self, id: &str) -> Result<Explanation, Error> {
        self.client.send(&self.client.call_to(Method::GET, &["queues", &self.name, "jobs", id, "explain"])).await
    }

    /// A page of a job's children with what came of them; the next page by the cursor of this one.
    pub async fn children<R: DeserializeOwned>(&self, id: &str, cursor: Option<&str>) -> Result<Children<R>, Error> {
        let mut call = self.client.call_to(Method::GET, &["queues", &self.name, "jobs", id, "children"]);
        if let Some(cursor) = cursor {
            call = call.query("cursor", cursor.to_owned());
        }
        self.client.send(&call).await
    }

    async fn done(&self, call: crate::transport::Call) -> Result<(), Error> {
        self.client.send::<IgnoredAny>(&call).await.map(drop)
    }

    /// Adds jobs that are written already: all of them, or none.
    pub(crate) async fn add_written(&self, jobs: &[Box<RawValue>]) -> Result<Vec<Added>, Error> {
        let body = json("jobs", &JobsToAdd { jobs })?;
        let call = self.client.call_to(Method::POST, &["queues", &self.name, "jobs"]);
        let added: AddedJobs = self.client.send(&call.body(body).idempotency_key(idempotency_key())).await?;
        Ok(added.jobs)
    }
}

impl<T: Serialize> Queue<T> {
    /// Adds a job: what it carries, or a [`NewJob`] that says more. It is durable when this returns.
    /// Errors: `queue.not_found`, and what is wrong with the job by name.
    pub async fn add(&self, job: impl Into<NewJob<T>>) -> Result<Added, Error> {
        let added = self.add_all([job]).await?;
        added.into_iter().next().ok_or_else(|| Error::Strange {
            url: self.client.url().to_owned(),
            reason: "it says nothing of the job that was added".to_owned(),
        })
    }

    /// Adds up to 10 000 jobs, children included, in one commit: all of them, or none. The answer names each job before
    /// its children.
    pub async fn add_all<J: Into<NewJob<T>>>(&self, jobs: impl IntoIterator<Item = J>) -> Result<Vec<Added>, Error> {
        let written: Result<Vec<_>, Error> = jobs.into_iter().map(|job| job.into().written()).collect();
        self.add_written(&written?).await
    }

    /// A producer, which gathers jobs that are added one by one into requests.
    pub fn producer(&self) -> ProducerBuilder<T> {
        ProducerBuilder::new(self)
    }
}

impl<T: DeserializeOwned> Queue<T> {
    /// A job as it stands. Errors: `job.not_found`.
    pub async fn get<R: DeserializeOwned>(&self, id: &str) -> Result<JobInfo<T, R>, Error> {
        self.client.send(&self.client.call_to(Method::GET, &["queues", &self.name, "jobs", id])).await
    }

    /// A job once it has finished, or after `patience` (up to an hour) as it stands then.
    pub async fn wait<R: DeserializeOwned>(&self, id: &str, patience: Duration) -> Result<JobInfo<T, R>, Error> {
        let call = self.client.call_that_waits(Method::GET, &["queues", &self.name, "jobs", id], patience);
        self.client.send(&call.query("wait_ms", ms(patience).to_string())).await
    }
}

pub(crate) fn json(what: &'static str, value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(Error::encode(what))
}
