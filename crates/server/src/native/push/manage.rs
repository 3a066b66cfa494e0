//! Setting, looking at, and taking away the push target of a queue.

use std::sync::Arc;

use weir_core::api::{Config, Error, Queue};
use weir_push::{Invalid, Settings};

use super::PushView;
use crate::access::Role;
use crate::engine::Engine;
use crate::native::Problem;
use crate::native::endpoint::{Answer, Call, Endpoint, Nothing, Outcome};
use crate::native::queues::TRIES;
use crate::native::route::{Method, Route, Tag};
use crate::push::{Note, Notifier, Setup};

const ERRORS: &[&str] = &["queue.not_found", "queue.owned", "push.not_found", "queue.stale"];

/// `PUT /v1/queues/{queue}/push`
pub(crate) struct Put;

impl Endpoint for Put {
    const ROUTE: Route = Route::new(
        Method::Put,
        "/v1/queues/{queue}/push",
        "put_push",
        Tag::Push,
        Role::Admin,
        "Put a URL behind a queue, or change how it is called",
    )
    .example(
        r#"{"url": "https://example.com/hooks", "concurrency": {"max": 20}, "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}"#,
    )
    .about(
        "The server is then a worker of the queue: each delivery is a lease, so that attempts, backoff, dead letters and \
         limiters are those of the queue. What the request does not name has its default afterwards, except secrets, which \
         stay. A target that was paused stays paused. See docs/push.md.",
    )
    .errors(&["queue.not_found", "queue.owned", "queue.stale"]);
    type Query = Nothing;
    type Request<'a> = Settings;
    type Response = PushView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, settings: Settings) -> Outcome<PushView> {
        call.change_push(|queue, before| {
            let mut settings = settings.clone();
            if let Some(before) = &before {
                settings.keep_secrets_of(&before.target);
            }
            let note = Note::new(settings, before.is_some_and(|before| before.paused));
            // What cannot be called is refused now, and not when the first job comes.
            let app = call.app;
            Setup::new(Arc::clone(queue), note.clone(), &app.config.region, &app.pushers.shared).map_err(problem)?;
            Ok(Some(note))
        })
        .await
    }
}

/// `GET /v1/queues/{queue}/push`
pub(crate) struct Get;

impl Endpoint for Get {
    const ROUTE: Route = Route::new(
        Method::Get,
        "/v1/queues/{queue}/push",
        "get_push",
        Tag::Push,
        Role::Read,
        "The push target of a queue, and how it stands",
    )
    .errors(&["queue.not_found", "push.not_found"]);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = PushView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<PushView> {
        let queue = call.queue()?;
        let note = note(&queue)?.ok_or_else(|| none(&queue))?;
        Ok(Answer::Of(call.push_view(&queue, &note)))
    }
}

/// `DELETE /v1/queues/{queue}/push`
pub(crate) struct Delete;

impl Endpoint for Delete {
    const ROUTE: Route = Route::new(
        Method::Delete,
        "/v1/queues/{queue}/push",
        "delete_push",
        Tag::Push,
        Role::Admin,
        "Take the URL behind a queue away",
    )
    .about("Jobs stay. Requests that are under way end, and are settled.")
    .errors(ERRORS);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = PushView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<PushView> {
        call.change_push(|queue, before| before.map(|_| None).ok_or_else(|| none(queue))).await
    }
}

/// `POST /v1/queues/{queue}/push/pause`
pub(crate) struct Pause;

impl Endpoint for Pause {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/queues/{queue}/push/pause",
        "pause_push",
        Tag::Push,
        Role::Admin,
        "Send nothing more to the URL behind a queue",
    )
    .about("Until it is resumed, over restarts too. Other workers of the queue go on, and so do requests under way.")
    .errors(ERRORS);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = PushView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<PushView> {
        hold(&call, true).await
    }
}

/// `POST /v1/queues/{queue}/push/resume`
pub(crate) struct Resume;

impl Endpoint for Resume {
    const ROUTE: Route = Route::new(
        Method::Post,
        "/v1/queues/{queue}/push/resume",
        "resume_push",
        Tag::Push,
        Role::Admin,
        "Send to the URL behind a queue again",
    )
    .errors(ERRORS);
    type Query = Nothing;
    type Request<'a> = Nothing;
    type Response = PushView;

    async fn run<E: Engine>(call: Call<'_, E>, _: Nothing, _: Nothing) -> Outcome<PushView> {
        hold(&call, false).await
    }
}

async fn hold<E: Engine>(call: &Call<'_, E>, paused: bool) -> Outcome<PushView> {
    call.change_push(|queue, before| {
        let before = before.ok_or_else(|| none(queue))?;
        Ok(Some(Note::new(before.target, paused)))
    })
    .await
}

fn note(queue: &Queue) -> Result<Option<Note>, Problem> {
    note_of(&queue.config, Some(&queue.name))
}

/// The push target in a configuration, which is that of `queue` where it is known.
pub(in crate::native) fn note_of(config: &Config, queue: Option<&str>) -> Result<Option<Note>, Problem> {
    Note::of(config).map_err(|error| {
        tracing::error!(queue, %error, "a stored push target cannot be read");
        Problem::internal()
    })
}

fn none(queue: &Queue) -> Problem {
    Problem::new("push.not_found", &format!("the queue {} has no push target", queue.name))
}

fn problem(Invalid { field, text }: Invalid) -> Problem {
    Problem::field(&field, &text)
}

impl<E: Engine> Call<'_, E> {
    fn push_view(&self, queue: &Queue, note: &Note) -> PushView {
        PushView::new(&queue.name, note, self.app.pushers.status(queue.id))
    }

    /// The target of a queue, if it has one.
    pub(super) fn push_of_queue(&self, queue: &Queue) -> Result<Option<PushView>, Problem> {
        Ok(note(queue)?.map(|note| self.push_view(queue, &note)))
    }

    /// How the URL of a subscription is called from its own queue.
    pub(in crate::native) fn push_of(&self, queue: &Queue, url: &str) -> Result<PushView, Problem> {
        let note = match note(queue)? {
            Some(note) => note,
            // What came over SNS was checked there.
            None => Note::new(Notifier::settings(url).map_err(problem)?, false),
        };
        Ok(self.push_view(queue, &note))
    }

    /// Changes the target of the queue that the address names; nothing takes it away. Answers it as it is afterwards, or
    /// as it was.
    async fn change_push(
        &self,
        change: impl Fn(&Arc<Queue>, Option<Note>) -> Result<Option<Note>, Problem> + Send,
    ) -> Outcome<PushView> {
        for _ in 0..TRIES {
            let queue = self.queue()?;
            if queue.subscription.is_some() {
                return Err(Problem::of_error(&Error::QueueOwned));
            }
            let before = note(&queue)?;
            let after = change(&queue, before.clone())?;
            let mut config: Config = queue.config.clone();
            match &after {
                Some(note) => note.put(&mut config),
                None => Note::remove(&mut config),
            }
            if let Some(queue) = self.configure(&queue, config).await? {
                let shown = after.or(before).ok_or_else(Problem::internal)?;
                return Ok(Answer::Of(self.push_view(&queue, &shown)));
            }
        }
        Err(Problem::of_error(&Error::Stale { version: 0 }))
    }
}
