//! One function: making it, looking at it, taking it away.

use std::sync::Arc;

use rand::random;
use schemars::JsonSchema;
use serde::Serialize;
use weir_core::api::{Command, Config, Error, Kind, Queue, Reply as EngineReply, Tags};
use weir_push::Invalid;
use weir_shard::Refused;

use super::settings::FunctionSettings;
use super::view::FunctionView;
use crate::access::Role;
use crate::engine::{self, Engine};
use crate::functions::{self, Note};
use crate::native::Problem;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome};
use crate::native::queues::{TRIES, check_name};
use crate::native::route::{Method, Route, Tag};
use crate::push::{self, Setup};

/// `PUT /v1/functions/{function}`
pub(crate) struct Put;

/// A function that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PutFunction {
    /// Whether it is new.
    created: bool,
    /// The function.
    function: FunctionView,
}

impl Endpoint for Put {
    const ROUTE: Route = Route::new(
        Method::Put,
        "/v1/functions/{function}",
        "put_function",
        Tag::Functions,
        Role::Admin,
        "Create a function, or replace its settings",
    )
    .example(
        r#"{"url": "https://example.com/resize", "timeout_ms": 30000, "concurrency": 20, "limiters": [{"limiter": "crm"}, {"limiter": "cms"}]}"#,
    )
    .about(
        "Its calls are the jobs of a queue of the same name, which is made with it. What the request does not name has its \
         default afterwards, except secrets, which stay; calls stay. See docs/functions.md.",
    )
    .errors(&["function.exists", "queue.stale", "limit.exceeded", "redrive.not_allowed"]);
    type Query = Nothing;
    type Request<'a> = FunctionSettings;
    type Response = PutFunction;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, settings: FunctionSettings) -> Outcome<PutFunction> {
        let name = call.params.get("function");
        if check_name(name)? == Kind::Fifo {
            let text = "must not end in .fifo: calls of a function have no order";
            return Err(Problem::field("function", text));
        }
        for _ in 0..TRIES {
            let (before, dead_letters) = (call.app.engine.find(call.caller.namespace, name), settings.dead_letters());
            if let Some(queue) = before.as_ref().filter(|queue| !Note::is_there(&queue.config)) {
                let text = format!("the queue {} is no function's; a function has a queue of its own", queue.name);
                return Err(Problem::new("function.exists", &text));
            }
            if let Some(target) = dead_letters {
                check_dead_letters(&call, name, target)?;
            }
            if let Some(line) = settings.command() {
                check_command(&call, line)?;
            }
            let config = settings.config(before.as_ref().map(|queue| &queue.config), &call.app.config.limits)?;
            check_target(&call, &settings, &config)?;
            let put = match before {
                Some(queue) => call.configure(&queue, config).await?.map(|queue| (queue, false)),
                None => create(&call, name, config).await?,
            };
            if let Some((queue, created)) = put {
                return Ok(Answer::Of(PutFunction { created, function: shown(&call, &queue)? }));
            }
        }
        Err(Problem::of_error(&Error::Stale { version: 0 }))
    }
}

/// Refuses a queue for failed calls that cannot take them.
fn check_dead_letters<E: Engine>(call: &Call<'_, E>, name: &str, target: &str) -> Result<(), Problem> {
    if target == name {
        return Err(Problem::field("dead_letters", "must be another queue than the function's own"));
    }
    match call.app.engine.find(call.caller.namespace, target) {
        Some(queue) if queue.kind == Kind::Standard => Ok(()),
        Some(_) => {
            Err(Problem::field("dead_letters", &format!("must be a standard queue, and {target} is a FIFO queue")))
        }
        None => Err(Problem::field("dead_letters", &format!("there is no queue called {target}"))),
    }
}

/// Refuses a command that may not be run, or cannot be.
fn check_command<E: Engine>(call: &Call<'_, E>, line: &[String]) -> Result<(), Problem> {
    let Some(commands) = &call.app.config.commands else {
        let text = "the configuration of this server allows none: functions.allow_commands is false";
        return Err(Problem::field("command", text));
    };
    if line.is_empty() {
        // Its form is looked at together with all others.
        return Ok(());
    }
    commands.check(line).map_err(|text| Problem::field("command[0]", &text))
}

/// Refuses a URL that cannot be called, now and not when the first call comes.
fn check_target<E: Engine>(call: &Call<'_, E>, settings: &FunctionSettings, config: &Config) -> Result<(), Problem> {
    let Ok(Some(note)) = push::Note::of(config) else { return Ok(()) };
    let checked = Setup::check(&note.target, &call.app.pushers.shared);
    checked.map_err(|Invalid { field, text }| Problem::field(&settings.field(&field), &text))
}

/// Makes the queue of a function; `None` where somebody else was first.
async fn create<E: Engine>(
    call: &Call<'_, E>,
    name: &str,
    config: Config,
) -> Result<Option<(Arc<Queue>, bool)>, Problem> {
    let command = Command::CreateQueue {
        namespace: call.caller.namespace,
        name: name.to_owned(),
        kind: Kind::Standard,
        config,
        tags: Tags::default(),
        seed: random(),
    };
    match engine::call(&call.app.engine, command).await {
        Ok(answered) => match answered.reply {
            EngineReply::Queue { queue, created } => Ok(Some((queue, created))),
            _ => Err(Problem::internal()),
        },
        Err(Refused::Engine(Error::QueueExists { .. })) => Ok(None),
        Err(refused) => Err(Problem::of(refused)),
    }
}

fn shown<E: Engine>(call: &Call<'_, E>, queue: &Queue) -> Result<FunctionView, Problem> {
    let note = Note::of(&queue.config).map_err(|error| functions::unreadable(&queue.name, &error))?;
    FunctionView::new(call.app, queue, &note.ok_or_else(Problem::internal)?)
}

/// `GET /v1/functions/{function}`
pub(crate) struct Get;

impl Endpoint for Get {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/functions/{function}",
        "get_function",
        Tag::Functions,
        Role::Read,
        "A function, and how what stands behind it stands",
    )
    .about("Its counters are those of its queue: `GET /v1/queues/{queue}` with the same name.")
    .errors(&["function.not_found"]);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = FunctionView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<FunctionView> {
        let (queue, note) = call.function()?;
        FunctionView::new(call.app, &queue, &note).map(Answer::Of)
    }
}

/// `DELETE /v1/functions/{function}`
pub(crate) struct Delete;

impl Endpoint for Delete {
    const ROUTE: Route = Route::new(
        Method::Delete,
        "/v1/functions/{function}",
        "delete_function",
        Tag::Functions,
        Role::Admin,
        "Delete a function with its queue and its calls",
    )
    .errors(&["function.not_found"]);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = Nothing;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<Nothing> {
        let (queue, _) = call.function()?;
        match call.command(Command::DeleteQueue { queue: queue.id }).await {
            Ok(_) => Ok(Answer::Of(Nothing {})),
            Err(problem) if problem.code() == "queue.not_found" => Err(Problem::no_function(&queue.name)),
            Err(problem) => Err(problem),
        }
    }
}
