//! What no client of good will sends.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use crate::support::{Running, bytes_of, config, read_answer, request, start};
use serde_json::json;
use weir_server::Config;

fn refused(running: &Running, bytes: &[u8], status: u16, shape: &str) {
    let answer = running.exchange(bytes).expect("an answer");
    assert_eq!(answer.status, status, "{}", answer.head);
    assert!(answer.shape().ends_with(shape), "{:?}", answer.json());
    assert!(answer.head.contains("x-amzn-query-error: "), "{}", answer.head);
}

#[test]
fn deep_nesting_is_refused() {
    let running = start(config());
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        refused(&running, &bytes_of("SendMessage", deep.as_bytes()), 400, "#SerializationException");
    }
}

#[test]
fn bytes_that_are_no_utf_8_are_refused() {
    let running = start(config());
    refused(&running, &bytes_of("SendMessage", b"{\"MessageBody\": \"\xff\"}"), 400, "#SerializationException");
}

#[test]
fn operations_that_do_not_exist_are_named_so() {
    let running = start(config());
    refused(&running, &bytes_of("Fly", b"{}"), 400, "#UnknownOperationException");
    let none = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    // A request without the header is one of the Query protocol.
    let answer = running.exchange(none).unwrap();
    assert_eq!(answer.status, 400);
    assert!(String::from_utf8_lossy(&answer.body).contains("<Code>MissingAction</Code>"));
}

#[test]
fn a_body_is_refused_as_too_large_before_it_is_sent() {
    let running = start(Config { body_bytes_max: 1_000, ..config() });
    refused(&running, &request("SendMessage", b"", 1_001), 413, "#RequestEntityTooLarge");
}

#[test]
fn a_body_of_unknown_length_is_refused_once_it_is_too_large() {
    let running = start(Config { body_bytes_max: 1_000, ..config() });
    let head =
        "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AmazonSQS.SendMessage\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    refused(&running, format!("{head}{chunk}{chunk}{chunk}").as_bytes(), 413, "#RequestEntityTooLarge");
}

#[test]
fn unfinished_bodies_are_bounded_together() {
    let running = start(Config { bodies_bytes_max: 1_000, ..config() });
    let head =
        "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AmazonSQS.SendMessage\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("3e9\r\n{}\r\n", "x".repeat(1_001));
    let answer = running.exchange(format!("{head}{chunk}").as_bytes()).unwrap();
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
}

#[test]
fn a_body_that_does_not_come_is_refused() {
    let running = start(Config { body_idle_timeout: Duration::from_millis(20), ..config() });
    refused(&running, &request("SendMessage", b"{", 100), 408, "#RequestTimeout");
}

#[test]
fn a_body_that_trickles_is_refused() {
    let running = start(Config { body_timeout: Duration::from_millis(50), ..config() });
    let mut stream = running.connect();
    stream.write_all(&request("SendMessage", b"{", 1_000_000)).unwrap();
    let mut reader = stream.try_clone().unwrap();
    // Bytes come for as long as the server takes them.
    let trickle = std::thread::spawn(move || while stream.write_all(b" ").is_ok() {});
    assert_eq!(read_answer(&mut reader).expect("an answer").status, 408);
    let _ = reader.shutdown(Shutdown::Both);
    trickle.join().unwrap();
}

#[test]
fn headers_that_do_not_come_end_the_connection() {
    let running = start(Config { header_timeout: Duration::from_millis(20), ..config() });
    let mut stream = running.connect();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{rest:?}");
}

#[test]
fn who_connects_and_says_nothing_is_cut_off() {
    let running = start(Config { header_timeout: Duration::from_millis(20), ..config() });
    // Bytes that may yet become a request of HTTP/2 tell nothing either.
    for bytes in [&b""[..], b"PRI * HTTP/2.0\r\n"] {
        let mut stream = running.connect();
        stream.write_all(bytes).unwrap();
        assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0, "{bytes:?}");
    }
}

#[test]
fn a_request_cut_off_in_its_body_stores_nothing() {
    let running = start(config());
    let url = running.create("cut");
    let body = json!({ "QueueUrl": url, "MessageBody": "x" }).to_string();
    let mut stream = running.connect();
    stream.write_all(&request("SendMessage", &body.as_bytes()[..body.len() - 1], body.len())).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    if let Some(answer) = read_answer(&mut stream) {
        assert_eq!(answer.status, 400);
    }
    let answer = running.done("ReceiveMessage", &json!({ "QueueUrl": url }));
    assert_eq!(answer, json!({}));
}

#[test]
fn too_many_or_too_long_headers_are_refused() {
    let running = start(config());
    let many = "X-Header: x\r\n".repeat(100_000);
    let long = format!("X-Long: {}\r\n", "x".repeat(1_000_000));
    for headers in [many, long] {
        if let Some(answer) = running.exchange(format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes()) {
            assert_eq!(answer.status, 431);
        }
    }
    let in_bounds = "X-Header: x\r\n".repeat(90);
    let request = format!("GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{in_bounds}\r\n");
    assert_eq!(running.exchange(request.as_bytes()).unwrap().status, 200);
}

#[test]
fn a_host_that_no_url_can_have_is_left_out() {
    let running = start(config());
    let body = br#"{"QueueName":"q"}"#;
    let create = |host: &str| {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nX-Amz-Target: AmazonSQS.CreateQueue\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = running.exchange(&[head.as_bytes(), body].concat()).unwrap().json();
        answer["QueueUrl"].as_str().unwrap().to_owned()
    };
    assert_eq!(create("queues.test:80"), "http://queues.test:80/000000000000/q");
    assert_eq!(create("[::1]:80"), "http://[::1]:80/000000000000/q");
    assert!(create("a/b?c").starts_with("http://127.0.0.1:"));
}

#[test]
fn connections_beyond_the_bound_are_told_to_come_back() {
    let running = start(Config { connections_max: 1, ..config() });
    let mut first = running.connect();
    first.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).unwrap();
    let answer = read_answer(&mut running.connect()).unwrap();
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after"), "{}", answer.head);
}
