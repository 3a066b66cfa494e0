//! Limiters, and permits for what runs outside of queues.

use std::time::Duration;

use hyper::Method;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Error;
use crate::new_job::ms;
use crate::queue::json;
use crate::settings::LimiterTerms;

/// A limiter by its name. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Limiter {
    client: Client,
    name: String,
}

/// What is to be started.
#[derive(Debug, Serialize)]
struct Acquire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    wait_ms: u64,
    lease_ms: u64,
}

#[derive(Debug, Deserialize)]
struct Acquired {
    #[serde(default)]
    permit: Option<String>,
}

#[derive(Debug, Serialize)]
struct Release<'a> {
    permit: &'a str,
}

/// The right to start something outside of a queue.
#[derive(Debug)]
#[must_use = "a permit counts until it is released, or its time is over"]
pub struct Permit {
    client: Client,
    limiter: String,
    token: String,
}

impl Limiter {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// Creates it, or changes what it allows, for what waits already, too.
    pub async fn put(&self, terms: &LimiterTerms) -> Result<(), Error> {
        let body = json("the terms of a limiter", terms)?;
        let call = self.client.call_to(Method::PUT, &["limiters", &self.name]).body(body);
        self.client.send::<IgnoredAny>(&call).await.map(drop)
    }

    /// Deletes it. Queues that name it run without it.
    pub async fn delete(&self) -> Result<(), Error> {
        let call = self.client.call_to(Method::DELETE, &["limiters", &self.name]);
        self.client.send::<IgnoredAny>(&call).await.map(drop)
    }

    /// Asks to start something under a key, or under the one that all share, and waits up to `patience` (an hour at most).
    /// The permit ends by itself after `lease` (a day at most). `None` if there was none in this time.
    pub async fn acquire(
        &self,
        key: Option<&str>,
        patience: Duration,
        lease: Duration,
    ) -> Result<Option<Permit>, Error> {
        let body = json("a request", &Acquire { key, wait_ms: ms(patience), lease_ms: ms(lease) })?;
        let call = self.client.call_that_waits(Method::POST, &["limiters", &self.name, "acquire"], patience);
        let acquired: Acquired = self.client.send(&call.body(body)).await?;
        let limiter = self.name.clone();
        Ok(acquired.permit.map(|token| Permit { client: self.client.clone(), limiter, token }))
    }
}

impl Permit {
    /// The work is done: it counts towards the concurrency no longer.
    pub async fn release(self) -> Result<(), Error> {
        let body = json("a request", &Release { permit: &self.token })?;
        let call = self.client.call_to(Method::POST, &["limiters", &self.limiter, "release"]).body(body);
        self.client.send::<IgnoredAny>(&call).await.map(drop)
    }
}

impl Client {
    /// A limiter by its name. Nothing is sent: it need not exist yet.
    pub fn limiter(&self, name: impl Into<String>) -> Limiter {
        Limiter::new(self.clone(), name.into())
    }
}
