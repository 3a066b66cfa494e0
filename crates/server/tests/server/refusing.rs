//! What the door makes of an engine that refuses.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::support::{config, start_over};
use serde_json::json;
use smallvec::smallvec;
use weir_core::Time;
use weir_core::api::limit::Limiter;
use weir_core::api::{Command, Config, Error, Kind, Namespace, Queue, QueueId, Reply, Sent, Token};
use weir_server::{BackupError, Engine, Figures, Responder};
use weir_shard::{Answered, Directory, Listener, Refused, Respond};
use weir_store::BackedUp;

/// An engine with one queue, which answers sends as it was told to.
struct Fake {
    directory: Directory,
    version: AtomicU64,
    send: fn(&Fake, u64) -> Result<Reply, Refused>,
}

impl Fake {
    fn new(send: fn(&Fake, u64) -> Result<Reply, Refused>) -> Self {
        Self { directory: Directory::default(), version: AtomicU64::new(1), send }
    }
}

impl Engine for Fake {
    fn submit(&self, command: Command, responder: Responder) -> Result<Token, Refused> {
        let Command::Send { version, .. } = command else { panic!("only sends are expected: {command:?}") };
        match (self.send)(self, version) {
            Err(refused @ Refused::Overloaded { .. }) => return Err(refused),
            answer => responder.respond(answer.map(|reply| Answered { reply, payloads: Vec::new() })),
        }
        Ok(Token(1))
    }

    fn submit_both(
        &self,
        first: (Command, Responder),
        second: (Command, Responder),
    ) -> Result<(Token, Token), Refused> {
        panic!("only sends are expected: {:?} and {:?}", first.0, second.0)
    }

    fn tell(&self, _: Command) -> Result<(), Refused> {
        Ok(())
    }

    fn cancel(&self, _: Token) {}

    fn backup(&self, _: &Path) -> Result<BackedUp, BackupError> {
        Err(Refused::Closed.into())
    }

    fn directory(&self) -> &Directory {
        &self.directory
    }

    fn find(&self, namespace: Namespace, name: &str) -> Option<Arc<Queue>> {
        (name == "q").then(|| {
            Arc::new(Queue {
                id: QueueId(1),
                namespace,
                name: name.to_owned(),
                kind: Kind::Standard,
                config: Config::default(),
                version: self.version.load(Ordering::SeqCst),
                created_at: Time(0),
                modified_at: Time(0),
                tags: weir_core::api::Tags::new(),
                paused_until: None,
                subscription: None,
            })
        })
    }

    fn list(&self, _: Namespace, _: &str, _: Option<&str>, _: usize) -> Vec<Arc<Queue>> {
        Vec::new()
    }

    fn all(&self) -> Vec<Arc<Queue>> {
        Vec::new()
    }

    fn limiter(&self, _: Namespace, _: &str) -> Option<Arc<Limiter>> {
        None
    }

    fn limiters(&self, _: Namespace, _: Option<&str>, _: usize) -> Vec<Arc<Limiter>> {
        Vec::new()
    }

    fn listen(&self, _: Listener) {}

    fn figures(&self) -> Figures {
        Figures::default()
    }
}

fn sent() -> Reply {
    Reply::Sent(smallvec![Ok(Sent { uuid: [1; 16], id: 1, duplicate: false })])
}

#[test]
fn a_refusal_of_the_shard_is_one_of_aws() {
    type Send = fn(&Fake, u64) -> Result<Reply, Refused>;
    let cases: [(Send, u16, &str, Option<&str>); 6] = [
        (
            |_, _| Err(Refused::Overloaded { retry_after: Duration::from_millis(1_500) }),
            503,
            "ServiceUnavailable",
            Some("2"),
        ),
        (|_, _| Err(Refused::DiskFull), 503, "ServiceUnavailable", Some("5")),
        (|_, _| Err(Refused::Closed), 503, "ServiceUnavailable", Some("1")),
        (|_, _| Err(Refused::Poisoned { reason: "secret path".to_owned() }), 500, "InternalFailure", None),
        (|_, _| Err(Refused::Engine(Error::QueueNotFound)), 400, "QueueDoesNotExist", None),
        (|_, _| Err(Refused::Engine(Error::LimitExceeded { what: "x", allowed: 1, found: 2 })), 403, "OverLimit", None),
    ];
    for (send, status, shape, retry_after) in cases {
        let running = start_over(config(), Fake::new(send));
        let answer = running.call("SendMessage", &json!({ "QueueUrl": "q", "MessageBody": "x" }));
        assert_eq!(answer.status, status, "{shape}");
        assert!(answer.shape().ends_with(shape), "{:?}", answer.json());
        let side = if status < 500 { "sender" } else { "receiver" };
        assert!(answer.head.contains(&format!(";{side}")), "{}", answer.head);
        let told = answer.head.lines().find_map(|line| line.strip_prefix("retry-after: "));
        assert_eq!(told, retry_after);
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret"), "causes are for the log");
    }
}

#[test]
fn a_send_for_an_old_version_is_prepared_anew() {
    let running = start_over(
        config(),
        Fake::new(|fake, version| {
            if version < 3 {
                fake.version.fetch_add(1, Ordering::SeqCst);
                return Err(Refused::Engine(Error::Stale { version: version + 1 }));
            }
            Ok(sent())
        }),
    );
    running.done("SendMessage", &json!({ "QueueUrl": "q", "MessageBody": "x" }));
}

#[test]
fn a_send_that_is_old_for_ever_is_refused() {
    let running = start_over(config(), Fake::new(|_, version| Err(Refused::Engine(Error::Stale { version }))));
    let answer = running.call("SendMessage", &json!({ "QueueUrl": "q", "MessageBody": "x" }));
    assert_eq!(answer.status, 503);
}

#[test]
fn a_server_whose_shard_does_not_serve_is_alive_but_not_ready() {
    let running = start_over(config(), Fake::new(|_, _| Ok(sent())));
    assert_eq!(running.get("/health/live").status, 200);
    assert_eq!(running.get("/health/ready").status, 503);
}
