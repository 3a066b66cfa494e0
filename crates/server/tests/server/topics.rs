//! Topics of the native API over HTTP: what is published once comes to all who subscribed, by their filters.

use crate::support::{Answer, Running, config, start};
use serde_json::{Value, json};

fn call(running: &Running, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let len = body.len();
    let head = "Host: weir.test\r\nConnection: close\r\nContent-Type: application/json\r\n";
    let request = format!("{method} {path} HTTP/1.1\r\n{head}Content-Length: {len}\r\n\r\n{body}");
    running.exchange(request.as_bytes()).unwrap()
}

/// The answer of a call that succeeds.
fn done(running: &Running, method: &str, path: &str, body: &Value) -> Value {
    let answer = call(running, method, path, body);
    assert_eq!(answer.status, 200, "{method} {path}: {}", answer.json());
    answer.json()
}

fn code(running: &Running, method: &str, path: &str, body: &Value) -> String {
    call(running, method, path, body).json()["code"].as_str().unwrap().to_owned()
}

fn publish(running: &Running, topic: &str, messages: &Value) -> Value {
    done(running, "POST", &format!("/v1/topics/{topic}/messages"), &json!({ "messages": messages }))
}

fn subscribe(running: &Running, topic: &str, queue: &str, settings: &Value) -> String {
    done(running, "PUT", &format!("/v1/queues/{queue}"), &Value::Null);
    let new = json!({ "queue": queue, "settings": settings });
    let made = done(running, "POST", &format!("/v1/topics/{topic}/subscriptions"), &new);
    assert_eq!(made["created"], true);
    made["subscription"]["id"].as_str().unwrap().to_owned()
}

/// Leases and completes all that a queue has: the data of each.
fn work(running: &Running, queue: &str) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let leased = done(running, "POST", &format!("/v1/queues/{queue}/lease"), &json!({ "max": 100 }));
        let jobs = leased["jobs"].as_array().unwrap().clone();
        if jobs.is_empty() {
            return all;
        }
        for job in jobs {
            assert!(job["publication"].is_string() && job["subscription"].is_string(), "{job}");
            let settle = json!({ "settle": [{ "lease": job["lease"], "action": "complete" }] });
            done(running, "POST", &format!("/v1/queues/{queue}/settle"), &settle);
            all.push(job["data"].clone());
        }
    }
}

#[test]
fn one_message_comes_to_every_queue_whose_filter_lets_it_through() {
    let running = start(config());
    assert_eq!(done(&running, "PUT", "/v1/topics/users", &Value::Null)["created"], true);
    assert_eq!(done(&running, "PUT", "/v1/topics/users", &json!({}))["created"], false);
    subscribe(&running, "users", "history", &json!({}));
    let mails = subscribe(&running, "users", "mails", &json!({ "filter": { "plan": ["pro", { "prefix": "team-" }] } }));
    let by_data = json!({ "filter": { "amount": [{ "numeric": [">", 100] }] }, "filter_scope": "data" });
    subscribe(&running, "users", "large", &by_data);
    let messages = json!([
        { "data": { "n": 1, "amount": 5 }, "attributes": { "plan": "free" } },
        { "data": { "n": 2, "amount": 500 }, "attributes": { "plan": "team-x" } },
        { "data": "three", "attributes": { "plan": "pro" } },
    ]);
    let published = publish(&running, "users", &messages);
    let delivered: Vec<_> = published["messages"].as_array().unwrap().iter().map(|one| &one["delivered"]).collect();
    assert_eq!(delivered, [&json!(1), &json!(3), &json!(2)]);
    assert_eq!(work(&running, "history").len(), 3);
    assert_eq!(work(&running, "mails"), [json!({ "n": 2, "amount": 500 }), json!("three")]);
    assert_eq!(work(&running, "large"), [json!({ "n": 2, "amount": 500 })]);
    let path = format!("/v1/topics/users/subscriptions/{mails}");
    let state = done(&running, "GET", &path, &Value::Null);
    assert_eq!(state["counters"], json!({ "delivered": 2, "filtered": 1, "failed": 0 }));
    assert_eq!(state["subscription"]["filter"], json!({ "plan": ["pro", { "prefix": "team-" }] }));
    // A filter that changes is in force for the next message.
    done(&running, "PUT", &path, &json!({ "filter": { "plan": ["free"] } }));
    let published = publish(&running, "users", &json!([{ "attributes": { "plan": "pro" } }]));
    assert_eq!(published["messages"][0]["delivered"], 1);
    done(&running, "DELETE", &path, &Value::Null);
    assert_eq!(code(&running, "GET", &path, &Value::Null), "subscription.not_found");
    let state = done(&running, "GET", "/v1/topics/users", &Value::Null);
    assert_eq!(state["counters"]["published"], 4);
    assert_eq!(state["counters"]["subscriptions"], 2);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let running = start(config());
    done(&running, "PUT", "/v1/topics/t", &Value::Null);
    done(&running, "PUT", "/v1/topics/t.fifo", &Value::Null);
    done(&running, "PUT", "/v1/queues/q.fifo", &Value::Null);
    done(&running, "PUT", "/v1/queues/q", &Value::Null);
    let subscriptions = "/v1/topics/t/subscriptions";
    for (path, body, expected) in [
        ("/v1/topics/none/messages", json!({ "messages": [{}] }), "topic.not_found"),
        ("/v1/topics/t/messages", json!({ "messages": [] }), "request.invalid"),
        ("/v1/topics/t/messages", json!({ "messages": [{ "deduplication_id": "a" }] }), "request.invalid"),
        ("/v1/topics/t.fifo/messages", json!({ "messages": [{}] }), "message.group_required"),
        (subscriptions, json!({}), "request.invalid"),
        (subscriptions, json!({ "queue": "q", "url": "https://x" }), "request.invalid"),
        (subscriptions, json!({ "url": "ftp://x" }), "request.invalid"),
        (subscriptions, json!({ "queue": "none" }), "queue.not_found"),
        (subscriptions, json!({ "queue": "q.fifo" }), "subscription.kind_differs"),
        (subscriptions, json!({ "queue": "q", "settings": { "filter": { "a": "b" } } }), "request.invalid"),
    ] {
        assert_eq!(code(&running, "POST", path, &body), expected, "{path} {body}");
    }
    assert_eq!(code(&running, "PUT", "/v1/topics/t", &json!({ "content_deduplication": true })), "request.invalid");
    let id = subscribe(&running, "t", "q", &json!({}));
    let differs = json!({ "queue": "q", "settings": { "filter": { "a": ["b"] } } });
    assert_eq!(code(&running, "POST", subscriptions, &differs), "subscription.exists");
    let replays = format!("{subscriptions}/{id}/replays");
    assert_eq!(code(&running, "POST", &replays, &Value::Null), "topic.no_archive");
    assert_eq!(code(&running, "POST", &replays, &json!({ "from_ms": 5, "until_ms": 5 })), "request.invalid");
}

#[test]
fn topics_and_subscriptions_are_listed_by_pages() {
    let running = start(config());
    for topic in ["a1", "a2", "a3", "b"] {
        done(&running, "PUT", &format!("/v1/topics/{topic}"), &Value::Null);
    }
    let page = done(&running, "GET", "/v1/topics?prefix=a&limit=2", &Value::Null);
    let names: Vec<_> = page["topics"].as_array().unwrap().iter().map(|topic| topic["name"].clone()).collect();
    assert_eq!(names, ["a1", "a2"]);
    let next = format!("/v1/topics?prefix=a&limit=2&cursor={}", page["cursor"].as_str().unwrap());
    let page = done(&running, "GET", &next, &Value::Null);
    assert_eq!((page["topics"].as_array().unwrap().len(), page.get("cursor")), (1, None));
    for queue in ["q1", "q2", "q3"] {
        subscribe(&running, "b", queue, &json!({}));
    }
    let url = json!({ "url": "https://example.com/hook" });
    done(&running, "POST", "/v1/topics/b/subscriptions", &url);
    let queues = done(&running, "GET", "/v1/queues", &Value::Null);
    assert_eq!(queues["queues"].as_array().unwrap().len(), 3, "a subscription's own queue is no queue of the user's");
    let page = done(&running, "GET", "/v1/topics/b/subscriptions?limit=3", &Value::Null);
    assert_eq!(page["subscriptions"].as_array().unwrap().len(), 3);
    let next = format!("/v1/topics/b/subscriptions?cursor={}", page["cursor"].as_str().unwrap());
    let page = done(&running, "GET", &next, &Value::Null);
    assert_eq!(page["subscriptions"][0]["url"], "https://example.com/hook");
    done(&running, "DELETE", "/v1/topics/b", &Value::Null);
    assert_eq!(code(&running, "GET", "/v1/topics/b", &Value::Null), "topic.not_found");
}

#[test]
fn a_fifo_topic_knows_duplicates_and_a_paused_subscription_holds() {
    let running = start(config());
    done(&running, "PUT", "/v1/topics/t.fifo", &json!({ "content_deduplication": true }));
    let id = subscribe(&running, "t.fifo", "q.fifo", &json!({}));
    let path = format!("/v1/topics/t.fifo/subscriptions/{id}");
    let message = |n: u64| json!({ "data": n, "group": "g" });
    let published = publish(&running, "t.fifo", &json!([message(1), message(1), message(2)]));
    let duplicates: Vec<_> = published["messages"].as_array().unwrap().iter().map(|one| &one["duplicate"]).collect();
    assert_eq!(duplicates, [&json!(false), &json!(true), &json!(false)]);
    assert_eq!(work(&running, "q.fifo"), [json!(1), json!(2)]);
    assert_eq!(done(&running, "POST", &format!("{path}/pause"), &Value::Null)["paused"], true);
    publish(&running, "t.fifo", &json!([message(3), message(4)]));
    assert_eq!(work(&running, "q.fifo").len(), 0);
    done(&running, "POST", &format!("{path}/resume"), &Value::Null);
    // A lease that waits is served as soon as what was held follows.
    let lease = json!({ "max": 1, "wait_ms": 60_000 });
    let leased = done(&running, "POST", "/v1/queues/q.fifo/lease", &lease);
    assert_eq!(leased["jobs"][0]["data"], 3);
}

#[test]
fn an_archive_is_replayed_to_who_comes_later() {
    let running = start(config());
    done(&running, "PUT", "/v1/topics/t", &json!({ "archive_ms": 3_600_000 }));
    let messages: Vec<Value> = (0..600)
        .map(|n| json!({ "data": n, "attributes": { "even": if n % 2 == 0 { "yes" } else { "no" } } }))
        .collect();
    publish(&running, "t", &json!(messages));
    let id = subscribe(&running, "t", "late", &json!({ "filter": { "even": ["yes"] } }));
    let path = format!("/v1/topics/t/subscriptions/{id}/replays");
    assert_eq!(done(&running, "POST", &path, &Value::Null)["status"], "running");
    let mut got = Vec::new();
    while got.len() < 300 {
        let lease = json!({ "max": 100, "wait_ms": 60_000 });
        let leased = done(&running, "POST", "/v1/queues/late/lease", &lease);
        got.extend(leased["jobs"].as_array().unwrap().iter().map(|job| job["data"].as_u64().unwrap()));
    }
    assert!(got.iter().copied().eq((0..600).step_by(2)));
}
