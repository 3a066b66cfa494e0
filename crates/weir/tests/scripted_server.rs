//! Commands against a server that answers by a script.

mod support;

use serde_json::{Value, json};
use support::{Scripted, err, out};

fn arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{name}")
}

fn attributes(name: &str) -> (u16, Value) {
    (200, json!({ "Attributes": { "QueueArn": arn(name) } }))
}

fn task(status: &str, moved: u64) -> (u16, Value) {
    let task = json!({
        "TaskHandle": "t1", "Status": status, "SourceArn": arn("dead"), "StartedTimestamp": 1_735_689_599_000_u64,
        "ApproximateNumberOfMessagesMoved": moved, "ApproximateNumberOfMessagesToMove": 7,
    });
    (200, json!({ "Results": [task] }))
}

#[test]
fn a_plain_redrive_is_a_move_task_that_is_waited_for() {
    let server = Scripted::start([
        attributes("dead"),
        attributes("mail"),
        (200, json!({ "TaskHandle": "t1" })),
        task("RUNNING", 3),
        task("COMPLETED", 7),
    ]);
    let output = server.weir(&["redrive", "dead", "--to", "mail", "--rate", "50/s"]);
    assert_eq!((out(&output).as_str(), output.status.code()), ("moved 7 messages\n", Some(0)), "{}", err(&output));
    let requests = server.requests();
    let asked: Vec<&str> = requests.iter().map(support::Request::asks).collect();
    assert_eq!(
        asked,
        [
            "GetQueueAttributes",
            "GetQueueAttributes",
            "StartMessageMoveTask",
            "ListMessageMoveTasks",
            "ListMessageMoveTasks"
        ]
    );
    let start = json!({ "SourceArn": arn("dead"), "DestinationArn": arn("mail"), "MaxNumberOfMessagesPerSecond": 50 });
    assert_eq!(requests[2].body, start);
}

#[test]
fn a_move_that_fails_is_a_failure_with_its_reason() {
    let failed = json!({ "Results": [{ "Status": "FAILED", "FailureReason": "no destination" }] });
    let server = Scripted::start([attributes("dead"), (200, json!({ "TaskHandle": "t1" })), (200, failed)]);
    let output = server.weir(&["redrive", "dead"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(err(&output), "error: the move ended as FAILED: no destination\n");
}

#[test]
fn a_detached_move_gives_its_handle_which_lists_and_cancels() {
    let server = Scripted::start([attributes("dead"), (200, json!({ "TaskHandle": "t1" }))]);
    assert_eq!(out(&server.weir(&["redrive", "dead", "--detach"])), "t1\n");
    let server = Scripted::start([attributes("dead"), task("RUNNING", 3)]);
    assert_eq!(
        out(&server.weir(&["redrive", "dead", "--list"])),
        "STARTED               STATUS   MOVED  OF  TO                    HANDLE\n\
         2024-12-31T23:59:59Z  running      3   7  where each came from  t1\n"
    );
    let server = Scripted::start([(200, json!({ "ApproximateNumberOfMessagesMoved": 3 }))]);
    assert_eq!(out(&server.weir(&["redrive", "dead", "--cancel", "t1"])), "cancelled after 3 messages\n");
    assert_eq!(server.requests()[0].body, json!({ "TaskHandle": "t1" }));
}

#[test]
fn a_filtered_redrive_goes_slice_by_slice_until_the_server_is_done() {
    let server = Scripted::start([
        (200, json!({ "examined": 256, "matched": 3, "moved": 3, "cursor": "c1", "done": false })),
        (200, json!({ "examined": 44, "matched": 1, "moved": 1, "cursor": null, "done": true })),
    ]);
    let filter = "attributes.kind = \"mail\"";
    let output = server.weir(&["redrive", "dead", "--filter", filter, "--to", "mail", "--rate", "5"]);
    assert_eq!(out(&output), "moved 4 messages of 300 that were looked at\n", "{}", err(&output));
    let requests = server.requests();
    assert_eq!(requests[0].path, "/v1/queues/dead/redrive");
    let first = json!({ "filter": filter, "destination": "mail", "rate_per_second": 5 });
    assert_eq!(requests[0].body, first);
    assert_eq!(requests[1].body["cursor"], "c1");
}

#[test]
fn a_most_is_kept_over_slices() {
    let server = Scripted::start([
        (200, json!({ "examined": 10, "matched": 3, "moved": 3, "cursor": 1 })),
        (200, json!({ "examined": 10, "matched": 2, "moved": 2, "cursor": 2 })),
    ]);
    assert_eq!(out(&server.weir(&["redrive", "dead", "--max", "5"])), "moved 5 messages of 20 that were looked at\n");
    let left: Vec<Value> = server.requests().iter().map(|request| request.body["max"].clone()).collect();
    assert_eq!(left, [5, 2]);
}

#[test]
fn a_dry_run_shows_what_would_be_moved() {
    let sample =
        json!({ "message_id": "0b5a", "body": "hello\nworld", "receives": 4, "sent_at": "2026-01-01T00:00:00Z" });
    let answer = json!({ "examined": 9, "matched": 1, "moved": 0, "done": true, "sample": [sample] });
    let server = Scripted::start([(200, answer.clone())]);
    assert_eq!(
        out(&server.weir(&["redrive", "dead", "--dry-run"])),
        "would move 1 message of 9\n\n\
         ID    SENT                  RECEIVES  BODY\n\
         0b5a  2026-01-01T00:00:00Z         4  hello\\nworld\n"
    );
    assert_eq!(server.requests()[0].body, json!({ "dry_run": true }));
    let server = Scripted::start([(200, answer)]);
    let object: Value = serde_json::from_str(&out(&server.weir(&["redrive", "dead", "--dry-run", "--json"]))).unwrap();
    assert_eq!((&object["matched"], &object["dry_run"]), (&json!(1), &json!(true)));
}

#[test]
fn a_server_that_never_ends_is_not_asked_for_ever() {
    let again = || (200, json!({ "examined": 1, "matched": 0, "moved": 0, "cursor": "c", "done": false }));
    let server = Scripted::start([again(), again()]);
    let output = server.weir(&["redrive", "dead", "--max", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("no new cursor"), "{}", err(&output));
}

#[test]
fn what_was_moved_before_a_failure_is_told() {
    let busy = json!({ "status": 503, "code": "shard.overloaded", "detail": "too much is waiting" });
    let server = Scripted::start([(200, json!({ "examined": 9, "matched": 2, "moved": 2, "cursor": 1 })), (503, busy)]);
    let output = server.weir(&["redrive", "dead", "--max", "5"]);
    assert_eq!(out(&output), "moved 2 messages of 9 that were looked at\n");
    assert_eq!(output.status.code(), Some(9));
    assert_eq!(err(&output), "error: too much is waiting (shard.overloaded); try again in a moment\n");
}

#[test]
fn a_filter_that_is_wrong_is_refused_before_anything_is_asked() {
    let server = Scripted::start([]);
    let output = server.weir(&["redrive", "dead", "--filter", "receives > many"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(err(&output), "error: --filter: at character 12: expected a text in quotes or a number, found many\n");
    assert!(server.requests().is_empty());
}

#[test]
fn requests_are_signed_with_the_key_of_the_environment() {
    let server = Scripted::start([(200, json!({})), (200, json!({ "done": true }))]);
    server.weir_signed(&["receive", "mail"]);
    server.weir_signed(&["redrive", "dead", "--dry-run"]);
    for request in server.requests() {
        let authorization = request.header("authorization").expect("a signature");
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=mail/"), "{authorization}");
        assert!(authorization.contains("content-type;host;x-amz-date"), "{authorization}");
        assert_eq!(request.header("x-amz-date").unwrap().len(), 16);
    }
    let server = Scripted::start([(200, json!({}))]);
    server.weir(&["queue", "list"]);
    assert_eq!(server.requests()[0].header("authorization"), None);
}

#[test]
fn a_refused_key_has_an_exit_code_of_its_own() {
    let refusal =
        json!({ "__type": "com.amazon.coral.service#InvalidClientTokenId", "message": "The key is unknown." });
    let server = Scripted::start([(403, refusal)]);
    let output = server.weir_signed(&["receive", "mail"]);
    assert_eq!(output.status.code(), Some(7));
    assert!(err(&output).starts_with("error: The key is unknown (InvalidClientTokenId); requests are signed with"));
}

#[test]
fn what_does_not_speak_as_weir_does_is_told_so() {
    let server = Scripted::start([(200, json!("hello")), (404, json!({}))]);
    let output = server.weir(&["queue", "list"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("does not speak as Weir does: its answer is not an object"), "{}", err(&output));
    let output = server.weir(&["redrive", "dead", "--dry-run"]);
    assert!(err(&output).contains("this server does not serve /v1/queues/dead/redrive"), "{}", err(&output));
}
