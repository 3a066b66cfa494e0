//! Commands for limiters against a server that answers by a script.

mod support;

use serde_json::{Value, json};
use support::{Scripted, err, out};

fn limiter() -> Value {
    json!({
        "name": "mail", "version": 1, "created_at_ms": 1_735_689_599_000_u64, "modified_at_ms": 1_735_689_599_000_u64,
        "terms": {
            "windows": [
                { "max": 50, "per_ms": 10_000, "counts": "starts" }, { "max": 300, "per_ms": 60_000, "counts": "starts" },
            ],
            "concurrency": 4, "pacing": false, "reserves": [{ "share": 20, "priority_max": 0 }],
        },
    })
}

#[test]
fn a_limiter_is_put_with_its_windows_in_order() {
    let server = Scripted::start([(200, json!({ "created": true, "limiter": limiter() }))]);
    let terms =
        ["--max", "50", "--per", "10s", "--max", "300", "--per", "1m", "--concurrency", "4", "--reserve", "20%:0"];
    let output = server.weir(&[&["limiter", "put", "mail", "--forget"][..], &terms].concat());
    assert_eq!(
        out(&output),
        "created mail: 50 per 10s, 300 per 1m; 4 at once; 20% for priority 0\n",
        "{}",
        err(&output)
    );
    let [request] = server.requests().try_into().unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/v1/limiters/mail?unknown=empty"));
    assert_eq!(request.body, limiter()["terms"]);
}

#[test]
fn a_maximum_without_its_interval_is_refused() {
    let server = Scripted::start([]);
    let output = server.weir(&["limiter", "put", "mail", "--max", "50", "--per", "10s", "--max", "300"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("found 2 and 1 of them"), "{}", err(&output));
    assert!(server.requests().is_empty());
}

#[test]
fn limiters_are_listed_over_pages() {
    let server = Scripted::start([
        (200, json!({ "limiters": [limiter()], "cursor": "bWFpbA" })),
        (200, json!({ "limiters": [{ "name": "sms", "terms": { "windows": [] } }] })),
    ]);
    let output = server.weir(&["limiter", "list"]);
    assert_eq!(
        out(&output),
        "NAME  WINDOWS                 CONCURRENCY  RESERVED            CHANGED\n\
         mail  50 per 10s, 300 per 1m            4  20% for priority 0  2024-12-31T23:59:59Z\n\
         sms   -                                 -  -\n",
        "{}",
        err(&output)
    );
    assert_eq!(server.requests()[1].path, "/v1/limiters?cursor=bWFpbA&limit=1000");
}

#[test]
fn a_limiter_is_shown_with_how_a_key_of_it_stands() {
    let state = json!({
        "windows": [{ "used": 50, "max": 50 }, { "used": 70, "max": 300 }], "running": 2,
        "blocked": { "reason": "window 0 is full", "until_ms": 1_735_689_599_000_u64 },
    });
    let server = Scripted::start([(200, json!({ "limiter": limiter(), "state": {} })), (200, state)]);
    let output = server.weir(&["limiter", "get", "mail", "--key", "ada/1"]);
    assert_eq!(
        out(&output),
        "FIELD        VALUE\n\
         name         mail\n\
         key          ada/1\n\
         window       50 per 10s: 50 now\n\
         window       300 per 1m: 70 now\n\
         running      2\n\
         concurrency  4\n\
         reserved     20% for priority 0\n\
         next start   window 0 is full, until 2024-12-31T23:59:59Z\n\
         created      2024-12-31T23:59:59Z\n\
         changed      2024-12-31T23:59:59Z\n",
        "{}",
        err(&output)
    );
    assert_eq!(server.requests()[1].path, "/v1/limiters/mail/keys/ada%2F1");
}

#[test]
fn a_permit_is_taken_and_settled() {
    let server = Scripted::start([
        (200, json!({ "granted": true, "permit": "p7", "until_ms": 1 })),
        (200, json!({})),
        (200, json!({})),
    ]);
    let asked = ["--key", "ada", "--cost", "3", "--priority", "1", "--lease", "5m", "--wait", "30s"];
    assert_eq!(out(&server.weir(&[&["limiter", "acquire", "mail"][..], &asked].concat())), "p7\n");
    assert_eq!(out(&server.weir(&["limiter", "settle", "mail", "p7", "--cost", "0"])), "settled p7\n");
    assert_eq!(out(&server.weir(&["limiter", "settle", "mail", "p7", "--cost", "5", "--running"])), "settled p7\n");
    let bodies: Vec<Value> = server.requests().into_iter().map(|request| request.body).collect();
    let expected = json!({ "key": "ada", "cost": 3, "priority": 1, "lease_ms": 300_000, "wait_ms": 30_000 });
    assert_eq!(bodies[0], expected);
    assert_eq!(bodies[1], json!({ "permit": "p7", "cost": 0, "done": true }));
    assert_eq!(bodies[2], json!({ "permit": "p7", "cost": 5, "done": false }));
}

#[test]
fn a_permit_that_does_not_come_in_time_is_told_with_what_it_waited_for() {
    let blocked = json!({ "reason": "as many run as may" });
    let server = Scripted::start([(200, json!({ "granted": false, "blocked": blocked }))]);
    let output = server.weir(&["limiter", "acquire", "mail"]);
    assert_eq!((out(&output).as_str(), output.status.code()), ("", Some(10)));
    assert_eq!(err(&output), "error: no permit of mail: as many run as may\n");
}

#[test]
fn keys_are_paused_and_resumed_and_limiters_deleted() {
    let server = Scripted::start([(200, json!({})), (200, json!({})), (200, json!({}))]);
    assert_eq!(out(&server.weir(&["limiter", "pause", "mail", "ada", "--for", "30s"])), "paused ada of mail for 30s\n");
    assert_eq!(out(&server.weir(&["limiter", "resume", "mail", "ada"])), "resumed ada of mail\n");
    assert_eq!(out(&server.weir(&["limiter", "delete", "mail"])), "deleted mail\n");
    let asked: Vec<(String, String)> =
        server.requests().into_iter().map(|request| (request.method, request.path)).collect();
    assert_eq!(asked[0], ("POST".into(), "/v1/limiters/mail/keys/ada/pause".into()));
    assert_eq!(asked[1], ("POST".into(), "/v1/limiters/mail/keys/ada/resume".into()));
    assert_eq!(asked[2], ("DELETE".into(), "/v1/limiters/mail".into()));
}

#[test]
fn a_limiter_that_is_not_there_is_told_with_what_to_do() {
    let missing = json!({ "status": 404, "code": "limiter.not_found", "detail": "there is no limiter called mail" });
    let server = Scripted::start([(404, missing)]);
    let output = server.weir(&["limiter", "get", "mail"]);
    assert_eq!(output.status.code(), Some(6));
    assert_eq!(
        err(&output),
        "error: there is no limiter called mail (limiter.not_found); `weir limiter list` shows the limiters\n"
    );
}
