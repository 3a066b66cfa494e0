//! `POST /v1/queues/{queue}/jobs` and `POST /v1/jobs`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error as _, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use weir_aws::sqs::idempotency_hash;
use weir_core::api::job::{Added, NewJob, Parent};
use weir_core::api::{ADD_MAX, Command, Error, Queue, Reply as EngineReply};
use weir_shard::Refused;

use super::super::Problem;
use super::super::endpoint::{Answer, Call, Endpoint, Nothing, Outcome};
use super::super::route::{Method, Route, Tag};
use super::super::text::Text;
use super::data::{push_number, push_string};
use super::job_ref::job_ref;
use super::spec::Spec;
use crate::access::Role;
use crate::engine::{self, Engine};

/// How often jobs are prepared anew when a queue is reconfigured meanwhile.
const TRIES: usize = 8;

const IDEMPOTENCY: &str = "Idempotency-Key";
pub(in crate::native) const HEADERS: &[(&str, &str)] = &[(
    IDEMPOTENCY,
    "Names the request: up to 256 bytes. One of the same key within a day adds nothing and has the answer of the first.",
)];
const ERRORS: &[&str] =
    &["queue.not_found", "queue.stale", "job.not_found", "job.state", "message.group_required", "limit.exceeded"];

/// `POST /v1/queues/{queue}/jobs`
pub(crate) struct AddToQueue;

/// `POST /v1/jobs`
pub(crate) struct Add;

/// Jobs for several queues.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "JobsToAdd")]
#[serde(deny_unknown_fields)]
pub(crate) struct Many<'a> {
    /// The jobs: up to 10 000, children included.
    #[serde(borrow)]
    jobs: Vec<Spec<'a>>,
}

/// One job, or a list of them.
#[derive(Debug)]
pub(crate) struct OneOrMany<'a> {
    jobs: Vec<Spec<'a>>,
    /// Whether it is one that stands by itself, and not in a list.
    is_one: bool,
}

/// Jobs of a request, and what they have in common.
struct Asked<'a> {
    jobs: &'a [Spec<'a>],
    /// Whether the one that there is stands by itself, and not in a list.
    is_one: bool,
    /// The queue of those that name none.
    queue: Option<&'a str>,
}

impl Asked<'_> {
    /// Where the job of a place stands in the request.
    fn place(&self, at: usize) -> String {
        if self.is_one { String::new() } else { format!("jobs[{at}]") }
    }
}

/// What became of the jobs.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(dead_code, reason = "it describes what is written by hand")]
pub(crate) struct AddedJobs {
    /// One for each job of the request, in its order, a job before its children.
    jobs: Vec<AddedJob>,
}

/// What became of a job.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(dead_code, reason = "it describes what is written by hand")]
pub(crate) struct AddedJob {
    /// Its id: digits. Of the first one where this is a duplicate.
    id: String,
    /// Its queue, where it is not that of the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    /// There, and true, where nothing was added because of a custom id, a deduplication id or an idempotency key.
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
}

impl Endpoint for AddToQueue {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/queues/{queue}/jobs",
        "add_jobs",
        Tag::Jobs,
        Role::Write,
        "Add a job, or up to 10 000 at once",
    )
    .example(r#"{"jobs": [{"name": "welcome", "data": {"to": "ada"}}, {"data": {"to": "bob"}, "priority": 5, "delay_ms": 60000}]}"#).about(
        "The body is one job, or `{\"jobs\": [...]}`. All of them are added or none, in one commit; it is on the disk \
         when the answer comes. `children` are added with their parent, and run before it.",
    )
    .headers(HEADERS)
    .errors(ERRORS);
    type Query = Nothing;
    type Request<'a> = OneOrMany<'a>;
    type Response = AddedJobs;

    async fn run<'a, E: Engine>(call: Call<'a, E>, _: Nothing, request: OneOrMany<'a>) -> Outcome<AddedJobs> {
        add_to(&call, call.params.get("queue"), &request).await
    }
}

impl Endpoint for Add {
    const ROUTE: Route =
        Route::new(Method::Post, "/v1/jobs", "add_jobs_anywhere", Tag::Jobs, Role::Write, "Add jobs to several queues")
            .example(r#"{"jobs": [{"queue": "reports", "children": [{"queue": "mail", "data": {"to": "ada"}, "on_failure": "ignore"}]}]}"#).about("Each job names its `queue`; a child that names none is in its parent's. All are added or none.")
            .headers(HEADERS)
            .errors(ERRORS);
    type Query = Nothing;
    type Request<'a> = Many<'a>;
    type Response = AddedJobs;

    async fn run<'a, E: Engine>(call: Call<'a, E>, _: Nothing, request: Many<'a>) -> Outcome<AddedJobs> {
        add(&call, &Asked { jobs: &request.jobs, is_one: false, queue: None }).await
    }
}

/// Adds one job or several to a queue.
pub(in crate::native) async fn add_to<E: Engine>(
    call: &Call<'_, E>,
    queue: &str,
    request: &OneOrMany<'_>,
) -> Outcome<AddedJobs> {
    add(call, &Asked { jobs: &request.jobs, is_one: request.is_one, queue: Some(queue) }).await
}

async fn add<E: Engine>(call: &Call<'_, E>, asked: &Asked<'_>) -> Outcome<AddedJobs> {
    let key = call.header(IDEMPOTENCY)?;
    if let Some(key) = key.filter(|key| key.is_empty() || key.len() > 256) {
        let text = format!("must have from 1 to 256 bytes, found {}", key.len());
        return Err(Problem::field(IDEMPOTENCY, &text));
    }
    let idempotency = key.map(|key| idempotency_hash(&format!("{:012}/{key}", call.caller.namespace.0)));
    for _ in 0..TRIES {
        let mut building = Building { call, queues: Vec::new(), jobs: Vec::with_capacity(asked.jobs.len()) };
        for (at, spec) in asked.jobs.iter().enumerate() {
            building.push(spec, asked.queue, None, &|| asked.place(at))?;
        }
        let Building { queues, jobs, .. } = building;
        if jobs.is_empty() || jobs.len() > ADD_MAX {
            let text = format!("must have from 1 to {ADD_MAX} entries, children included, found {}", jobs.len());
            return Err(Problem::field("jobs", &text));
        }
        match engine::call(&call.app.engine, Command::AddJobs { jobs, idempotency }).await {
            Ok(answered) => match answered.reply {
                EngineReply::Added(added) => return Ok(Answer::Written(written(&added, &queues, asked.queue).into())),
                _ => return Err(Problem::internal()),
            },
            Err(Refused::Engine(Error::Stale { .. })) => {}
            Err(Refused::Engine(error @ (Error::JobNotFound | Error::JobState { .. }))) => {
                return Err(parent_at_fault(call, asked, &error).await);
            }
            Err(refused) => return Err(Problem::of(refused)),
        }
    }
    Err(Problem::of_error(&Error::Stale { version: 0 }))
}

/// The refusal of a parent that is not there, or takes no children any more, with the place where it is named.
async fn parent_at_fault<E: Engine>(call: &Call<'_, E>, asked: &Asked<'_>, error: &Error) -> Problem {
    for (at, spec) in asked.jobs.iter().enumerate() {
        let Some(parent) = spec.parent() else { continue };
        let Ok(queue) = call.find(&parent.queue) else { continue };
        let command = Command::DescribeJob { queue: queue.id, job: job_ref(&parent.id), wait_ms: 0 };
        let problem = match (engine::call(&call.app.engine, command).await, error) {
            (Err(Refused::Engine(Error::JobNotFound)), _) => Problem::no_job(&parent.id, &parent.queue),
            (Ok(answered), Error::JobState { state }) => match answered.reply {
                EngineReply::Job(found) if found.state == *state => Problem::of_error(error),
                _ => continue,
            },
            _ => continue,
        };
        return problem.at("parent.id").under(&asked.place(at));
    }
    Problem::of_error(error)
}

/// Jobs on their way into a command.
struct Building<'c, 'p, E> {
    call: &'c Call<'p, E>,
    /// The queues that were looked up.
    queues: Vec<Arc<Queue>>,
    jobs: Vec<NewJob>,
}

impl<E: Engine> Building<'_, '_, E> {
    fn queue(&mut self, name: &str) -> Result<Arc<Queue>, Problem> {
        if let Some(found) = self.queues.iter().rev().find(|queue| queue.name == name) {
            return Ok(Arc::clone(found));
        }
        let queue = self.call.find(name)?;
        self.queues.push(Arc::clone(&queue));
        Ok(queue)
    }

    /// Adds a job and its children, which stand under `place`.
    fn push(
        &mut self,
        spec: &Spec<'_>,
        queue: Option<&str>,
        parent: Option<Parent>,
        place: &dyn Fn() -> String,
    ) -> Result<(), Problem> {
        let named = spec.queue.as_deref();
        let Some(name) = named.or(queue) else {
            return Err(Problem::field("queue", "is missing").under(&place()));
        };
        let queue = self.queue(name).map_err(|problem| match named {
            Some(_) => problem.at("queue").under(&place()),
            None => problem,
        })?;
        let parent = match (parent, spec.parent()) {
            (Some(_), Some(_)) => {
                let text = "a child of a job of the same request has no other parent";
                return Err(Problem::field("parent", text).under(&place()));
            }
            (None, Some(asked)) => {
                let queue = self.queue(&asked.queue);
                Some(asked.parent(&*queue.map_err(|problem| problem.at("parent.queue").under(&place()))?))
            }
            (parent, None) => parent,
        };
        let limits = &self.call.app.config.limits;
        let job = spec.job(&queue, limits, parent).map_err(|problem| problem.under(&place()))?;
        if self.jobs.len() > ADD_MAX {
            // It is refused as a whole; the rest need not be made.
            return Ok(());
        }
        let at = self.jobs.len() as u32;
        self.jobs.push(job);
        for (child_at, child) in spec.children.iter().enumerate() {
            let place = || match place() {
                place if place.is_empty() => format!("children[{child_at}]"),
                place => format!("{place}.children[{child_at}]"),
            };
            self.push(child, Some(name), Some(Parent::Added(at)), &place)?;
        }
        Ok(())
    }
}

fn written(added: &[Added], queues: &[Arc<Queue>], of_address: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(12 + 24 * added.len());
    out.extend_from_slice(b"{\"jobs\":[");
    for (at, job) in added.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"id\":\"");
        push_number(&mut out, job.id);
        out.push(b'"');
        let queue = queues.iter().find(|queue| queue.id == job.queue).map(|queue| queue.name.as_str());
        if let Some(name) = queue.filter(|name| Some(*name) != of_address) {
            out.extend_from_slice(b",\"queue\":");
            push_string(&mut out, name);
        }
        if job.duplicate {
            out.extend_from_slice(b",\"duplicate\":true");
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}

impl<'de: 'a, 'a> Deserialize<'de> for OneOrMany<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = OneOrMany<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a job or {\"jobs\": [...]}")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let first = map.next_key::<Text<'de>>()?;
                if first.as_deref() == Some("jobs") {
                    let jobs = map.next_value()?;
                    return match map.next_key::<Text<'de>>()? {
                        Some(other) => Err(A::Error::custom(format!("`{}` beside `jobs`", &*other))),
                        None => Ok(OneOrMany { jobs, is_one: false }),
                    };
                }
                let job = Spec::deserialize(MapAccessDeserializer::new(Begun { first, rest: map }))?;
                Ok(OneOrMany { jobs: vec![job], is_one: true })
            }
        }

        deserializer.deserialize_map(Reading)
    }
}

/// A map of which the first key was read.
struct Begun<'de, A> {
    first: Option<Text<'de>>,
    rest: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Begun<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match self.first.take() {
            Some(Text(Cow::Borrowed(key))) => {
                seed.deserialize(serde::de::value::BorrowedStrDeserializer::new(key)).map(Some)
            }
            Some(Text(Cow::Owned(key))) => seed.deserialize(key.into_deserializer()).map(Some),
            None => self.rest.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.rest.next_value_seed(seed)
    }
}

impl JsonSchema for OneOrMany<'_> {
    fn schema_name() -> Cow<'static, str> {
        "JobOrJobs".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<Spec<'static>>();
        let many = generator.subschema_for::<Many<'static>>();
        json_schema!({ "description": "One job, or a list of them.", "anyOf": [one, many] })
    }
}
