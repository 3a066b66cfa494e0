//! A job in the hands of its worker.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};

use super::wire::LeasedJob;
use crate::client::Client;
use crate::error::Error;
use crate::info::Child;
use crate::new_job::NewJob;
use crate::queue::{Added, Queue};

/// A job that is being worked on.
#[non_exhaustive]
pub struct Job<T> {
    /// What it carries.
    pub data: T,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// The id that its sender chose.
    pub custom_id: Option<String>,
    /// Which attempt this is, from 1: failures so far, and one.
    pub attempt: u32,
    /// How often it was leased, this time included; what was given back before its work began is not counted.
    pub leases: u32,
    /// How often its worker was lost.
    pub stalls: u32,
    /// Its priority.
    pub priority: u32,
    /// Its group.
    pub group: Option<String>,
    /// Texts, numbers and bytes (`{"binary": base64}`) that stand beside the data.
    pub attributes: Map<String, Value>,
    /// When it was added, in milliseconds since 1970.
    pub added_at_ms: u64,
    /// When the attempt has to end, in milliseconds since 1970, however often its lease is extended.
    pub timeout_at_ms: Option<u64>,
    /// The queue that it was moved from as a dead letter.
    pub dead_letter_of: Option<String>,
    link: Link,
}

/// What joins a job to its worker.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) queue: Arc<str>,
    pub(super) lease: Arc<str>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) cancelled: watch::Receiver<bool>,
}

/// What a job says of itself while it runs.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) lease: Arc<str>,
    pub(super) progress: Option<Box<RawValue>>,
    pub(super) line: Option<String>,
}

impl<T: fmt::Debug> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Job");
        fields.field("id", &self.id).field("name", &self.name).field("attempt", &self.attempt);
        fields.field("data", &self.data).finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Job<T> {
    pub(super) fn new(leased: LeasedJob, link: Link) -> Result<Self, serde_json::Error> {
        Ok(Self {
            data: serde_json::from_str(leased.data.get())?,
            id: leased.id,
            name: leased.name,
            custom_id: leased.custom_id,
            attempt: leased.attempt,
            leases: leased.leases,
            stalls: leased.stalls,
            priority: leased.priority,
            group: leased.group,
            attributes: leased.attributes,
            added_at_ms: leased.added_at_ms,
            timeout_at_ms: leased.timeout_at_ms,
            dead_letter_of: leased.dead_letter_of,
            link,
        })
    }
}

impl<T> Job<T> {
    /// Tells how far it is: any JSON of up to 64 KiB, in place of what was said before. It is on its way when this
    /// returns, and arrives before the end of the attempt.
    pub async fn progress(&self, progress: impl Serialize) -> Result<(), Error> {
        let progress = to_raw_value(&progress).map_err(Error::encode("the progress of a job"))?;
        self.report(Some(progress), None).await;
        Ok(())
    }

    /// Appends a line of up to 64 KiB to its log.
    pub async fn log(&self, line: impl Into<String>) {
        self.report(None, Some(line.into())).await;
    }

    async fn report(&self, progress: Option<Box<RawValue>>, line: Option<String>) {
        let report = Report { lease: self.link.lease.clone(), progress, line };
        // A worker that has ended has given the job back: there is nobody to report for.
        let _ = self.link.reports.send(report).await;
    }

    /// Whether it is to be cancelled, or its lease was lost: what is done from here on is of no use.
    pub fn is_cancelled(&self) -> bool {
        *self.link.cancelled.borrow()
    }

    /// Waits until it is to be cancelled. The server says so with a heartbeat, up to a third of a lease later. Who returns
    /// then, with whatever error, has cancelled it.
    pub async fn cancelled(&self) {
        let mut cancelled = self.link.cancelled.clone();
        if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
            // The worker has let go of the job without cancelling it.
            std::future::pending::<()>().await;
        }
    }

    /// What came of the jobs that it waited for.
    pub async fn children<R: DeserializeOwned>(&self) -> Result<Vec<Child<R>>, Error> {
        let queue = self.link.client.queue::<Value>(&*self.link.queue);
        let mut children = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut page = queue.children(&self.id, cursor.as_deref()).await?;
            children.append(&mut page.children);
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(children);
            }
        }
    }

    /// Adds a job of `queue` as a child of this one. Then end the attempt with
    /// [`Failure::wait_for_children`](super::Failure::wait_for_children): it runs again when its children are done.
    pub async fn add_child<U: Serialize>(
        &self,
        queue: impl Into<String>,
        child: impl Into<NewJob<U>>,
    ) -> Result<Added, Error> {
        let queue: Queue<U> = self.link.client.queue(queue);
        queue.add(child.into().parent(&*self.link.queue, &*self.id)).await
    }
}
