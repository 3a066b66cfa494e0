//! Commands for jobs against a server that answers by a script.

mod support;

use serde_json::{Value, json};
use support::{Scripted, err, out};

fn problem(status: u16, code: &str, detail: &str) -> (u16, Value) {
    (status, json!({ "type": format!("/v1/docs#{code}"), "status": status, "code": code, "detail": detail }))
}

#[test]
fn a_job_is_added_with_what_is_said_of_it() {
    let server = Scripted::start([(200, json!({ "jobs": [{ "id": "17" }] }))]);
    let output = server.weir(&[
        "job",
        "add",
        "mail",
        "--name",
        "welcome",
        "--data",
        "{\"to\": \"ada\"}",
        "--priority",
        "2",
        "--delay",
        "5m",
        "--attempts",
        "5",
        "--backoff",
        "exponential:1s",
        "--id",
        "ada-1",
        "--group",
        "ada",
        "-a",
        "plan=free",
        "-a",
        "n=5",
        "--keep-completed",
        "1h,10",
        "--dedup-id",
        "d",
        "--dedup-for",
        "10s",
        "--dedup-extend",
    ]);
    assert_eq!((out(&output).as_str(), output.status.code()), ("17\n", Some(0)), "{}", err(&output));
    let [request] = server.requests().try_into().unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/queues/mail/jobs"));
    let expected = json!({
        "name": "welcome", "data": { "to": "ada" }, "priority": 2, "delay_ms": 300_000, "custom_id": "ada-1",
        "retry": { "attempts_max": 5, "backoff": { "exponential_ms": 1_000 } }, "group": "ada",
        "attributes": { "plan": "free", "n": 5 }, "keep_completed": { "age_ms": 3_600_000, "count": 10 },
        "deduplication": { "id": "d", "ttl_ms": 10_000, "extend": true },
    });
    assert_eq!(request.body, expected);
}

#[test]
fn a_duplicate_may_be_told_to_move_the_time_of_the_job_that_is_there() {
    let server = Scripted::start([(200, json!({ "jobs": [{ "id": "17" }] }))]);
    let output = server.weir(&["job", "add", "mail", "--delay", "5m", "--dedup-id", "d", "--dedup-reschedule"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let [request] = server.requests().try_into().unwrap();
    assert_eq!(request.body["deduplication"], json!({ "id": "d", "reschedule": true }));
    let output = server.weir(&["job", "add", "mail", "--dedup-id", "d", "--dedup-reschedule", "--dedup-replace"]);
    assert_eq!(output.status.code(), Some(2), "it cannot do both");
}

#[test]
fn a_duplicate_is_told_beside_the_id() {
    let added = json!({ "jobs": [{ "id": "17", "duplicate": true }] });
    let server = Scripted::start([(200, added.clone()), (200, added)]);
    let output = server.weir(&["job", "add", "mail", "--id", "ada-1"]);
    assert_eq!(
        (out(&output).as_str(), err(&output).as_str()),
        ("17\n", "nothing was added: job 17 is there already\n")
    );
    let output = server.weir(&["job", "add", "mail", "--id", "ada-1", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&out(&output)).unwrap(), json!({ "id": "17", "duplicate": true }));
}

#[test]
fn waiting_for_a_job_prints_its_result_or_fails_as_it_does() {
    let added = || (200, json!({ "jobs": [{ "id": "17" }] }));
    let server =
        Scripted::start([added(), (200, json!({ "id": "17", "state": "completed", "result": { "sent": true } }))]);
    let output = server.weir(&["job", "add", "mail", "--wait", "20s"]);
    assert_eq!((out(&output).as_str(), output.status.code()), ("{\"sent\":true}\n", Some(0)), "{}", err(&output));
    let asked = &server.requests()[1];
    assert_eq!(asked.method, "GET");
    let waited: u64 = asked.path.strip_prefix("/v1/queues/mail/jobs/17?wait_ms=").unwrap().parse().unwrap();
    assert!((1..=20_000).contains(&waited), "{waited}");

    let failed =
        json!({ "id": "17", "state": "failed", "failed": "reported", "history": [{ "error": "no such box" }] });
    let server = Scripted::start([added(), (200, failed)]);
    let output = server.weir(&["job", "add", "mail", "--wait", "20s"]);
    assert_eq!((out(&output).as_str(), output.status.code()), ("", Some(1)));
    assert_eq!(err(&output), "error: job 17 failed (reported): no such box\n");
}

#[test]
fn a_job_that_does_not_end_in_time_has_an_exit_code_of_its_own() {
    let server = Scripted::start([(200, json!({ "id": "17", "state": "leased" }))]);
    let output = server.weir(&["job", "get", "mail", "17", "--wait", "1ms", "--json"]);
    assert_eq!(output.status.code(), Some(10));
    assert_eq!(err(&output), "error: job 17 has not finished within 1ms: it is leased\n");
    assert_eq!(serde_json::from_str::<Value>(&out(&output)).unwrap()["state"], "leased");
}

#[test]
fn lines_become_jobs_in_batches_that_can_be_sent_again() {
    let answer = |count: usize| (200, json!({ "jobs": vec![json!({ "id": "1" }); count] }));
    let busy = problem(503, "server.overloaded", "too much");
    let server = Scripted::start([answer(1_000), busy, answer(2)]);
    let lines = (0..1_002).map(|n| format!("{{\"n\": {n}.0}}\n")).collect::<Vec<_>>().concat();
    let output = server.weir_fed(&["job", "add", "mail", "--lines", "--name", "n"], &lines);
    assert_eq!((out(&output).as_str(), output.status.code()), ("added 1002 jobs\n", Some(0)), "{}", err(&output));
    let requests = server.requests();
    assert_eq!(requests[0].body["jobs"][1], json!({ "name": "n", "data": { "n": 1.0 } }));
    let keys: Vec<&str> = requests.iter().map(|request| request.header("idempotency-key").unwrap()).collect();
    assert!(keys[0] != keys[1] && keys[1] == keys[2], "{keys:?}");
}

#[test]
fn a_refused_line_is_named() {
    let server = Scripted::start([problem(400, "request.invalid", "jobs[1].title: unknown field")]);
    let output = server.weir_fed(&["job", "add", "mail", "--json-lines"], "{\"name\":\"a\"}\n{\"title\":\"b\"}\n");
    assert_eq!((out(&output).as_str(), output.status.code()), ("", Some(1)));
    assert_eq!(
        err(&output),
        "error: line 2 is refused, and with it the batch from line 1: jobs[1].title: unknown field (request.invalid)\n"
    );
    let server = Scripted::start([]);
    let output = server.weir_fed(&["job", "add", "mail", "--lines"], "1\nhello\n");
    assert!(err(&output).starts_with("error: line 2: this is not JSON"), "{}", err(&output));
    assert!(server.requests().is_empty());
}

fn listed(id: u64) -> Value {
    json!({
        "id": id.to_string(), "queue": "mail", "state": "failed", "data": { "n": id }, "priority": 0, "leases": 3,
        "added_at_ms": 1_735_689_599_000_u64,
    })
}

#[test]
fn jobs_are_listed_page_by_page_up_to_the_limit() {
    let server = Scripted::start([
        (200, json!({ "jobs": [listed(1), listed(2)], "examined": 50, "cursor": "0.2" })),
        (200, json!({ "jobs": [listed(3)], "examined": 50, "cursor": "0.3" })),
    ]);
    let output = server.weir(&["job", "list", "mail", "--state", "failed", "--limit", "3", "--filter", "receives > 2"]);
    assert_eq!(
        out(&output),
        "ID  STATE   NAME  PRIORITY  LEASES  ADDED                 DUE  DATA\n\
         1   failed  -            0       3  2024-12-31T23:59:59Z  -    {\"n\":1}\n\
         2   failed  -            0       3  2024-12-31T23:59:59Z  -    {\"n\":2}\n\
         3   failed  -            0       3  2024-12-31T23:59:59Z  -    {\"n\":3}\n",
        "{}",
        err(&output)
    );
    assert_eq!(err(&output), "these are the first 3; --limit or --all shows more\n");
    let paths: Vec<String> = server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths[0], "/v1/queues/mail/jobs?filter=receives%20%3E%202&limit=3&states=failed");
    assert_eq!(paths[1], "/v1/queues/mail/jobs?cursor=0.2&filter=receives%20%3E%202&limit=1&states=failed");
}

#[test]
fn ids_of_jobs_are_one_a_line() {
    let server = Scripted::start([(200, json!({ "jobs": [listed(1), listed(2)], "examined": 2 }))]);
    assert_eq!(out(&server.weir(&["job", "list", "mail", "--ids"])), "1\n2\n");
}

#[test]
fn jobs_are_changed_by_their_ids() {
    let server = Scripted::start([(200, json!({})), (200, json!({})), (200, json!({})), (200, json!({}))]);
    assert_eq!(out(&server.weir(&["job", "retry", "mail", "17", "a/b", "--no-reset"])), "retried 17\nretried a/b\n");
    assert_eq!(out(&server.weir(&["job", "remove", "mail", "17"])), "removed 17\n");
    assert_eq!(out(&server.weir(&["job", "set", "mail", "17", "--priority", "0", "--lifo"])), "changed 17\n");
    let asked: Vec<(String, String, Value)> =
        server.requests().into_iter().map(|request| (request.method, request.path, request.body)).collect();
    let reset = json!({ "reset": false });
    assert_eq!(asked[0], ("POST".into(), "/v1/queues/mail/jobs/17/retry".into(), reset.clone()));
    assert_eq!(asked[1], ("POST".into(), "/v1/queues/mail/jobs/a%2Fb/retry".into(), reset));
    assert_eq!(asked[2], ("DELETE".into(), "/v1/queues/mail/jobs/17".into(), Value::Null));
    let change = json!({ "priority": 0, "lifo": true });
    assert_eq!(asked[3], ("PATCH".into(), "/v1/queues/mail/jobs/17".into(), change));
}

#[test]
fn a_refused_job_does_not_hold_up_the_others() {
    let server = Scripted::start([
        problem(409, "job.state", "job 1 is ready"),
        (200, json!({})),
        problem(404, "job.not_found", "there is no job 3"),
    ]);
    let output = server.weir(&["job", "promote", "mail", "1", "2", "3"]);
    assert_eq!((out(&output).as_str(), output.status.code()), ("promoted 2\n", Some(6)));
    assert_eq!(
        err(&output),
        "1: job 1 is ready (job.state)\n\
         error: 2 of 3 jobs were refused; 3: there is no job 3 (job.not_found); `weir job list QUEUE` shows the jobs of a \
         queue\n"
    );
}

#[test]
fn many_jobs_are_changed_slice_by_slice() {
    let server = Scripted::start([
        (200, json!({ "examined": 256, "matched": 3, "changed": 3, "cursor": "0.1", "done": false })),
        (200, json!({ "examined": 44, "matched": 1, "changed": 1, "done": true })),
    ]);
    let picked = ["--state", "failed,completed", "--filter", "receives > 2", "--older-than", "1h", "--max", "9"];
    let output = server.weir(&[&["job", "retry", "mail", "--all", "--yes"][..], &picked].concat());
    assert_eq!(out(&output), "retried 4 jobs of 300 that were looked at\n", "{}", err(&output));
    let requests = server.requests();
    assert_eq!(requests[0].path, "/v1/queues/mail/jobs/retry");
    let first = json!({
        "states": ["failed", "completed"], "filter": "receives > 2", "older_than_ms": 3_600_000, "max": 9,
    });
    assert_eq!(requests[0].body, first);
    assert_eq!((&requests[1].body["cursor"], &requests[1].body["max"]), (&json!("0.1"), &json!(6)));
}

#[test]
fn changing_many_jobs_asks_for_a_yes_or_counts_only() {
    let server = Scripted::start([(200, json!({ "examined": 300, "matched": 4, "changed": 0, "done": true }))]);
    let output = server.weir(&["job", "cancel", "mail", "--all"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("--dry-run counts them, and --yes goes ahead"), "{}", err(&output));
    assert!(server.requests().is_empty());
    let output = server.weir(&["job", "cancel", "mail", "--all", "--dry-run"]);
    assert_eq!(out(&output), "would cancel 4 jobs of 300\n");
    assert_eq!(server.requests()[0].body, json!({ "dry_run": true }));
}

#[test]
fn it_has_to_be_said_which_jobs_are_meant() {
    let server = Scripted::start([]);
    let output = server.weir(&["job", "remove", "mail"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(err(&output), "error: which jobs? `weir job remove QUEUE ID...` or `weir job remove QUEUE --all`\n");
    let output = server.weir(&["job", "remove", "mail", "17", "--state", "failed"]);
    assert!(err(&output).contains("go with --all"), "{}", err(&output));
    assert!(server.requests().is_empty());
}

#[test]
fn an_explanation_is_told_and_handed_on() {
    let explanation = json!({
        "state": "ready", "unknown": "no worker waits for jobs of the queue",
        "holds": [{ "by": "no_worker", "text": "no worker waits for jobs of the queue" }],
    });
    let server = Scripted::start([(200, explanation.clone()), (200, explanation.clone())]);
    assert_eq!(
        out(&server.weir(&["job", "explain", "mail", "17"])),
        "Job 17 is ready:\n  \
         - no worker waits for jobs of the queue\n\
         When it runs cannot be foretold: no worker waits for jobs of the queue.\n"
    );
    let output = server.weir(&["job", "explain", "mail", "17", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&out(&output)).unwrap(), explanation);
    assert_eq!(server.requests()[0].path, "/v1/queues/mail/jobs/17/explain");
}

#[test]
fn a_log_is_followed_until_the_job_has_finished() {
    let lines = |lines: &[&str], from: u64, total: u64| (200, json!({ "lines": lines, "from": from, "total": total }));
    let server = Scripted::start([
        lines(&["two", "three"], 1, 3),
        (200, json!({ "id": "17", "state": "leased" })),
        lines(&["four"], 3, 4),
        (200, json!({ "id": "17", "state": "completed" })),
        lines(&["five\u{1b}"], 4, 5),
    ]);
    let output = server.weir(&["job", "logs", "mail", "17", "--follow"]);
    assert_eq!(out(&output), "two\nthree\nfour\nfive\\u{1b}\n", "{}", err(&output));
    assert_eq!(err(&output), "the first line is not kept any more\n");
    let paths: Vec<String> = server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths[0], "/v1/queues/mail/jobs/17/logs?from=0&limit=256");
    assert_eq!(paths[4], "/v1/queues/mail/jobs/17/logs?from=4&limit=256");
}

#[test]
fn queues_are_paused_resumed_drained_and_cleaned() {
    let done = || (200, json!({ "examined": 4, "matched": 2, "changed": 2, "done": true }));
    let server = Scripted::start([(200, json!({})), (200, json!({})), done(), done()]);
    assert_eq!(out(&server.weir(&["queue", "pause", "mail", "--for", "10m"])), "paused mail for 10m\n");
    assert_eq!(out(&server.weir(&["queue", "resume", "mail"])), "resumed mail\n");
    let drained = out(&server.weir(&["queue", "drain", "mail", "--state", "delayed", "--yes"]));
    assert_eq!(drained, "removed 2 jobs of 4 that were looked at\n");
    let cleaned = out(&server.weir(&["queue", "clean", "mail", "--older-than", "1d", "--yes", "--json"]));
    assert_eq!(serde_json::from_str::<Value>(&cleaned).unwrap()["changed"], 2);
    let asked: Vec<(String, Value)> =
        server.requests().into_iter().map(|request| (request.path, request.body)).collect();
    assert_eq!(asked[0], ("/v1/queues/mail/pause".into(), json!({ "for_ms": 600_000 })));
    assert_eq!(asked[1], ("/v1/queues/mail/resume".into(), json!({})));
    assert_eq!(asked[2], ("/v1/queues/mail/drain".into(), json!({ "states": ["delayed"] })));
    assert_eq!(asked[3], ("/v1/queues/mail/clean".into(), json!({ "older_than_ms": 86_400_000 })));
}

#[test]
fn settings_for_jobs_go_over_the_native_api() {
    let url = "http://127.0.0.1/000000000000/mail";
    let server = Scripted::start([
        (200, json!({ "created": true, "queue": {} })),
        (200, json!({ "QueueUrl": url })),
        (200, json!({})),
    ]);
    let made = server.weir(&[
        "queue",
        "create",
        "mail",
        "--visibility",
        "1m",
        "--attempts",
        "5",
        "--backoff",
        "1s,1m",
        "--keep-failed",
        "all",
        "--limiter",
        "mail:key=data.customer",
        "--tag",
        "team=mail",
    ]);
    assert_eq!(out(&made), format!("{url}\n"), "{}", err(&made));
    let set = server.weir(&["queue", "set", "mail", "--timeout", "none", "--no-dead-letter"]);
    assert_eq!(out(&set), "changed mail\n", "{}", err(&set));
    let requests = server.requests();
    let settings = json!({
        "lease_ms": 60_000, "retry": { "attempts_max": 5, "backoff": { "list_ms": [1_000, 60_000] } }, "keep_failed": {},
        "limiters": [{ "limiter": "mail", "key": "data.customer" }], "tags": { "team": "mail" },
    });
    assert_eq!(requests[0].body, json!({ "name": "mail", "settings": settings }));
    assert_eq!((requests[2].method.as_str(), requests[2].path.as_str()), ("PATCH", "/v1/queues/mail"));
    assert_eq!(requests[2].body, json!({ "timeout_ms": null, "dead_letters": null }));
    let refused = server.weir(&["queue", "set", "mail", "--attempts", "5", "--attribute", "DelaySeconds=5"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(err(&refused).contains("--attribute DelaySeconds"), "{}", err(&refused));
}

#[test]
fn requests_with_a_query_are_signed() {
    let server = Scripted::start([(200, json!({ "jobs": [], "examined": 0 }))]);
    server.weir_signed(&["job", "list", "mail", "--filter", "body = \"a b\""]);
    let request = &server.requests()[0];
    let authorization = request.header("authorization").expect("a signature");
    assert!(authorization.contains("SignedHeaders=host;x-amz-date,"), "{authorization}");
}

#[test]
fn a_job_that_is_not_there_is_told_with_what_to_do() {
    let server = Scripted::start([problem(404, "job.not_found", "there is no job 17 in mail")]);
    let output = server.weir(&["job", "get", "mail", "17"]);
    assert_eq!(output.status.code(), Some(6));
    assert_eq!(
        err(&output),
        "error: there is no job 17 in mail (job.not_found); `weir job list QUEUE` shows the jobs of a queue\n"
    );
}

#[test]
fn watching_goes_on_behind_the_last_event_when_the_connection_ends() {
    let event = |id: &str, kind: &str| {
        let data = json!({ "type": kind, "queue": "mail", "id": "17", "at_ms": 1_735_689_599_000_u64 });
        format!("id: {id}\nevent: {kind}\ndata: {data}\n\n")
    };
    let server = Scripted::start_with([
        (200, format!("retry: 1000\n\n{}{}id: 7-9\ndata: cut off", event("7-1", "added"), event("7-2", "started"))),
        (200, format!("event: gap\ndata: {{}}\n\n{}", event("7-5", "completed"))),
    ]);
    let output = server.weir(&["job", "watch", "mail", "--type", "added,started,completed", "-n", "3"]);
    assert_eq!(
        out(&output),
        "2024-12-31T23:59:59Z  added                 17\n\
         2024-12-31T23:59:59Z  started               17\n\
         2024-12-31T23:59:59Z  completed             17\n"
    );
    assert_eq!(err(&output), "events were missed: look at the jobs anew\n");
    let requests = server.requests();
    assert_eq!(requests[0].path, "/v1/queues/mail/events?types=added%2Cstarted%2Ccompleted");
    assert_eq!((requests[0].header("last-event-id"), requests[1].header("last-event-id")), (None, Some("7-2")));
}

#[test]
fn watching_a_queue_that_is_not_there_fails_at_once() {
    let server = Scripted::start([problem(404, "queue.not_found", "there is no queue called mail")]);
    let output = server.weir(&["job", "watch", "mail"]);
    assert_eq!(output.status.code(), Some(6), "{}", err(&output));
    let away = support::weir(&["job", "watch", "mail", "--url", "http://127.0.0.1:1"], &[]);
    assert_eq!(away.status.code(), Some(8), "{}", err(&away));
}

#[test]
fn numbers_of_senders_and_workers_are_printed_as_they_were_written() {
    let job = "{\"id\":\"17\",\"state\":\"completed\",\"result\":{\"price\":1.50,\"n\":12345678901234567890123}}";
    let page = format!("{{\"jobs\":[{job}],\"examined\":1}}");
    let event = "id: 7-1\nevent: completed\ndata: {\"type\":\"completed\",\"result\":1.50}\n\n";
    let answers = [job.to_owned(), job.to_owned(), page, event.to_owned()];
    let server = Scripted::start_with(answers.map(|answer| (200, answer)));
    let exact = "{\"price\":1.50,\"n\":12345678901234567890123}";
    assert_eq!(out(&server.weir(&["job", "get", "mail", "17", "--result"])), format!("{exact}\n"));
    assert!(out(&server.weir(&["job", "get", "mail", "17", "--json"])).contains(exact));
    assert_eq!(out(&server.weir(&["job", "list", "mail", "--json"])), format!("{job}\n"));
    let watched = out(&server.weir(&["job", "watch", "mail", "-n", "1", "--json"]));
    assert_eq!(watched, "{\"event_id\":\"7-1\",\"result\":1.50,\"type\":\"completed\"}\n");
}
