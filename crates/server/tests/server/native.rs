//! The native API over HTTP: routing, refusals, queues.

use crate::support::{Answer, Running, config, start};
use serde_json::{Value, json};

/// Sends a request of the native API.
fn ask(running: &Running, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let len = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: weir.test\r\nConnection: close\r\n{headers}Content-Length: {len}\r\n\r\n{body}"
    );
    running.exchange(request.as_bytes()).unwrap()
}

fn call(running: &Running, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    ask(running, method, path, "Content-Type: application/json\r\n", &body)
}

/// Status, code and detail of a refusal.
fn refusal(answer: &Answer) -> (u16, String, String) {
    assert!(answer.head.contains("content-type: application/problem+json"), "{}", answer.head);
    let problem = answer.json();
    assert_eq!(problem["status"], answer.status);
    let code = problem["code"].as_str().unwrap().to_owned();
    assert_eq!(problem["type"], format!("/v1/docs#{code}"));
    (answer.status, code, problem["detail"].as_str().unwrap().to_owned())
}

#[test]
fn an_address_tells_which_methods_it_takes() {
    let running = start(config());
    let answer = call(&running, "DELETE", "/v1/queues", &Value::Null);
    assert_eq!(refusal(&answer).1, "request.method");
    assert!(answer.head.contains("allow: get, post"), "{}", answer.head);
    let answer = call(&running, "GET", "/v1/nowhere", &Value::Null);
    assert_eq!((refusal(&answer).0, refusal(&answer).1.as_str()), (404, "request.not_found"));
}

#[test]
fn what_makes_no_sense_is_refused_by_field_limit_and_value() {
    let running = start(config());
    for (body, expected) in [
        (json!({ "lease_ms": -1 }), "lease_ms: invalid value: integer `-1`, expected a whole number from 0"),
        (json!({ "retention_ms": 5 }), "retention_ms: must be from 60000 to 31622400000000, found 5"),
        (json!({ "leese_ms": 5 }), "leese_ms: unknown field `leese_ms`, expected one of"),
        (json!({ "deduplication": { "window_ms": 5 } }), "deduplication: only a FIFO queue tells duplicates"),
        (json!({ "dead_letters": { "queue": "x" } }), "dead_letters: missing field `leases_max`"),
    ] {
        let (status, code, detail) = refusal(&call(&running, "PUT", "/v1/queues/q", &body));
        assert_eq!((status, code.as_str()), (400, "request.invalid"));
        assert!(detail.starts_with(expected), "{detail}");
    }
    let (.., detail) = refusal(&call(&running, "GET", "/v1/queues?limit=0", &Value::Null));
    assert_eq!(detail, "limit: must be from 1 to 1000, found 0");
    let (.., detail) = refusal(&ask(&running, "PUT", "/v1/queues/q", "", "{"));
    assert!(detail.starts_with("the body is not JSON: "), "{detail}");
    assert_eq!(call(&running, "GET", "/v1/queues", &Value::Null).json()["queues"], json!([]));
}

#[test]
fn a_body_of_another_type_is_refused_and_one_of_none_is_json() {
    let running = start(config());
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(refusal(&ask(&running, "PUT", "/v1/queues/q", form, "{}")).0, 415);
    for fine in ["", "Content-Type: application/json; charset=utf-8\r\n", "Content-Type: application/x+json\r\n"] {
        assert_eq!(ask(&running, "PUT", "/v1/queues/q", fine, "{}").status, 200, "{fine}");
    }
}

#[test]
fn a_page_of_another_origin_changes_nothing() {
    let running = start(config());
    for origin in ["http://evil.test", "null", "http://weir.test.evil.test"] {
        let (status, code, _) = refusal(&ask(&running, "PUT", "/v1/queues/q", &format!("Origin: {origin}\r\n"), ""));
        assert_eq!((status, code.as_str()), (403, "access.foreign_origin"), "{origin}");
    }
    assert_eq!(ask(&running, "PUT", "/v1/queues/q", "Origin: http://weir.test\r\n", "").status, 200);
    assert_eq!(ask(&running, "GET", "/v1/queues/q", "Origin: http://evil.test\r\n", "").status, 200);
}

#[test]
fn a_queue_is_put_changed_emptied_and_deleted() {
    let running = start(config());
    call(&running, "PUT", "/v1/queues/dead", &Value::Null);
    let settings =
        json!({ "lease_ms": 5_000, "dead_letters": { "queue": "dead", "leases_max": 3 }, "tags": { "a": "b" } });
    let path = "/v1/queues/mail%20%C3%9F";
    let put = call(&running, "PUT", path, &settings).json();
    assert_eq!((&put["created"], &put["queue"]["name"]), (&json!(true), &json!("mail ß")));
    let again = call(&running, "PUT", path, &settings).json();
    assert_eq!((&again["created"], &again["queue"]["version"]), (&json!(false), &json!(1)));
    let changed = call(&running, "PATCH", path, &json!({ "delay_ms": 7, "dead_letters": null })).json();
    assert_eq!(changed["lease_ms"], 5_000);
    assert_eq!(changed["delay_ms"], 7);
    assert_eq!(changed["dead_letters"], Value::Null);
    assert_eq!(changed["tags"], json!({ "a": "b" }));
    let replaced = call(&running, "PUT", path, &json!({ "tags": {} })).json();
    assert_eq!(replaced["queue"]["lease_ms"], 30_000);
    assert_eq!(replaced["queue"]["tags"], json!({}));
    assert_eq!(call(&running, "GET", path, &Value::Null).json(), replaced["queue"]);
    assert_eq!(call(&running, "POST", "/v1/queues/mail%20%C3%9F/purge", &Value::Null).status, 200);
    assert_eq!(call(&running, "DELETE", path, &Value::Null).status, 200);
    assert_eq!(refusal(&call(&running, "GET", path, &Value::Null)).1, "queue.not_found");
}

#[test]
fn a_queue_that_differs_is_not_created() {
    let running = start(config());
    let new = |delay_ms: u64| json!({ "name": "q", "settings": { "delay_ms": delay_ms } });
    assert_eq!(call(&running, "POST", "/v1/queues", &new(1)).json()["created"], true);
    assert_eq!(call(&running, "POST", "/v1/queues", &new(1)).json()["created"], false);
    assert_eq!(refusal(&call(&running, "POST", "/v1/queues", &new(2))).1, "queue.exists");
    let bad = call(&running, "POST", "/v1/queues", &json!({ "name": "a\u{7}" }));
    assert_eq!(refusal(&bad).2, "name: must not have control characters");
}

#[test]
fn queues_are_listed_page_by_page() {
    let running = start(config());
    for n in 0..5 {
        call(&running, "PUT", &format!("/v1/queues/q{n}"), &Value::Null);
    }
    call(&running, "PUT", "/v1/queues/other", &Value::Null);
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = call(&running, "GET", &format!("/v1/queues?prefix=q&limit=2{cursor}"), &Value::Null).json();
        names.extend(page["queues"].as_array().unwrap().iter().map(|queue| queue["name"].clone()));
        let Some(next) = page["cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(names, ["q0", "q1", "q2", "q3", "q4"]);
}

#[test]
fn the_reference_is_served_and_names_every_address() {
    let running = start(config());
    let document = running.get("/v1/openapi.json");
    assert!(document.head.contains("content-type: application/json"));
    let page = running.get("/v1/docs");
    assert!(page.head.contains("content-type: text/html"));
    let page = String::from_utf8(page.body).unwrap();
    for path in document.json()["paths"].as_object().unwrap().keys() {
        assert!(page.contains(path.as_str()), "{path}");
    }
}

#[test]
fn requests_are_counted_by_operation() {
    let running = start(config());
    call(&running, "GET", "/v1/queues/none", &Value::Null);
    running.wait_for_metric(r#"weir_requests_total{door="native",operation="get_queue",status="404"} 1"#);
}
