//! `weir listen`: the jobs of a queue go to a URL that only this machine reaches.
//!
//! It is a worker that does what the server does for a push target: it sends the same requests, and understands the same
//! answers.

use std::borrow::Cow;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::signal::unix::{SignalKind, signal};
use ureq::Agent;
use weir_client::{Failure, Job};
use weir_push::answer::{self, Answer, Outcome};
use weir_push::message::{Attribute, Message, Origin, Value as Carried};
use weir_push::{Settings, Target};

use crate::client::{Queue, ServerArguments};
use crate::output;
use crate::push::Mode;

/// Forwards the jobs of a queue.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Name, URL or ARN of the queue.
    queue: Queue,
    /// Where its jobs are sent with POST.
    #[arg(long, value_name = "URL")]
    forward: String,
    /// The form in which they are sent.
    #[arg(long, value_enum, default_value_t = Mode::Native)]
    mode: Mode,
    /// How many requests are under way at most.
    #[arg(long, short = 'c', value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    concurrency: u16,
    /// How long a request may take.
    #[arg(long, value_name = "TIME", value_parser = crate::arguments::milliseconds, default_value = "1m")]
    timeout: u64,
    #[command(flatten)]
    server: ServerArguments,
}

/// How long a target that asks for less, without saying for how long, is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// What requests are made with.
struct Forward {
    target: Target,
    agent: Agent,
    queue: String,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let settings = serde_json::json!({ "url": arguments.forward, "mode": arguments.mode.name() });
    let settings: Settings = serde_json::from_value(settings)?;
    let target = Target::new(settings)?;
    let agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_millis(arguments.timeout)))
        .build()
        .new_agent();
    let forward = Arc::new(Forward { target, agent, queue: arguments.queue.name().to_owned() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let queue = arguments.server.worker_client()?.queue(arguments.queue.name());
        let worker = queue.worker().concurrency(arguments.concurrency.into());
        let (name, url) = (output::clean(arguments.queue.name()), output::clean(&arguments.forward));
        output::note(&format!("forwarding jobs of {name} to {url}"));
        worker.run(shutdown, move |job| send(Arc::clone(&forward), job)).await?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn send(forward: Arc<Forward>, job: Job<Box<RawValue>>) -> Result<Option<Box<RawValue>>, Failure> {
    // The requests of this library block: each has a thread for as long as it takes.
    let sent = tokio::task::spawn_blocking(move || forward.send(&job)).await;
    sent.unwrap_or_else(|error| Err(Failure::new(format!("sending it broke off: {error}"))))
}

impl Forward {
    fn send(&self, job: &Job<Box<RawValue>>) -> Result<Option<Box<RawValue>>, Failure> {
        let numbers: Vec<(&String, String)> =
            job.attributes.iter().map(|(name, value)| (name, written(value))).collect();
        let attributes = numbers.iter().zip(job.attributes.values()).map(|((name, text), value)| Attribute {
            name,
            data_type: if value.is_number() { "Number" } else { "String" },
            value: Carried::Text(text),
        });
        let mut uuid = [0; 16];
        for (to, from) in uuid.iter_mut().rev().zip(job.id.parse::<u64>().unwrap_or_default().to_le_bytes()) {
            *to = from;
        }
        let message = Message {
            id: job.id.parse().unwrap_or_default(),
            uuid,
            name: job.name.as_deref(),
            custom_id: job.custom_id.as_deref(),
            group: job.group.as_deref(),
            deduplication_id: None,
            trace_header: None,
            body: job.data.get(),
            data: Cow::Borrowed(job.data.get()),
            attributes: attributes.collect(),
            attempt: job.attempt,
            leases: job.leases,
            sent_at_ms: job.added_at_ms,
            first_leased_at_ms: job.added_at_ms,
            priority: job.priority,
            token: String::new(),
        };
        let origin = Origin { queue: &self.queue, arn: "", region: "", account: "" };
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let messages = [message];
        let request = self.target.request(&origin, &messages, now_ms, rand::random());
        let request = request.map_err(|text| Failure::new(text).fatal())?;
        let mut sending = self.agent.post(&self.target.settings.url);
        // There is nobody to call back to: a token is not handed out.
        for (name, value) in request.headers.iter().filter(|(name, _)| *name != "weir-callback-token") {
            sending = sending.header(name, value);
        }
        let told = |text: &str| output::note(&format!("{}: {}", job.id, output::clean(text)));
        let mut response = sending.send(request.body.as_slice()).map_err(|error| {
            told(&error.to_string());
            Failure::new(error)
        })?;
        let most = self.target.settings.response_bytes_max;
        let body = response.body_mut().with_config().limit(most).read_to_vec().ok();
        let status = response.status().as_u16();
        told(&format!("answered {status}"));
        let answer = Answer { status, headers: response.headers(), body: body.as_deref() };
        let meaning = answer::read(&self.target, &messages, &answer, now_ms);
        let pause = meaning.wait_ms.map_or(PAUSE, Duration::from_millis);
        match meaning.outcomes.into_iter().next() {
            Some(Outcome::Failed(failure, again)) => {
                let failure = Failure::with_details(serde_json::from_slice(&failure).unwrap_or_default());
                Err(if again { failure } else { failure.fatal() })
            }
            Some(Outcome::Throttled) => Err(Failure::throttled(pause)),
            Some(Outcome::Done(Some(result))) => {
                let text = String::from_utf8(result).unwrap_or_default();
                Ok(RawValue::from_string(text).ok())
            }
            Some(Outcome::Done(None) | Outcome::CallsBack) | None => Ok(None),
        }
    }
}

/// An attribute as text.
fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
