//! Serving and ending.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::{Running, bytes_of, config, read_answer, start};
use serde_json::json;
use weir_server::Config;

fn receive(url: &str) -> Vec<u8> {
    bytes_of("ReceiveMessage", json!({ "QueueUrl": url, "WaitTimeSeconds": 600 }).to_string().as_bytes())
}

fn waiting(running: &Running, url: &str) -> TcpStream {
    let mut stream = running.connect();
    stream.write_all(&receive(url)).expect("an open connection takes a request");
    running.wait_for_metric("weir_engine_waiting_receives 1.0");
    stream
}

#[test]
fn a_message_reaches_who_waits_for_it() {
    let running = start(config());
    let url = running.create("q");
    let mut waiting = waiting(&running, &url);
    running.done("SendMessage", &json!({ "QueueUrl": url, "MessageBody": "x" }));
    let answer = read_answer(&mut waiting).unwrap().json();
    assert_eq!(answer["Messages"][0]["Body"], "x");
}

#[test]
fn a_closed_connection_withdraws_its_receive() {
    let running = start(config());
    let url = running.create("q");
    drop(waiting(&running, &url));
    running.wait_for_metric("weir_waiting_receivers 0");
    running.wait_for_metric("weir_engine_waiting_receives 0.0");
    running.done("SendMessage", &json!({ "QueueUrl": "q", "MessageBody": "x" }));
    let names = json!({ "QueueUrl": "q", "WaitTimeSeconds": 20, "AttributeNames": ["ApproximateReceiveCount"] });
    let answer = running.done("ReceiveMessage", &names);
    assert_eq!(answer["Messages"][0]["Attributes"]["ApproximateReceiveCount"], "1");
}

#[test]
fn a_message_that_could_not_be_written_returns_to_its_queue_uncounted() {
    let running = start(config());
    let url = running.create("q");
    // More than the buffers between two sockets hold.
    running.done("SendMessage", &json!({ "QueueUrl": url, "MessageBody": "x".repeat(15 << 20) }));
    let mut stream = running.connect();
    stream.write_all(&receive(&url)).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    drop(stream);
    let names = json!({ "QueueUrl": "q", "WaitTimeSeconds": 20, "AttributeNames": ["ApproximateReceiveCount"] });
    let answer = running.done("ReceiveMessage", &names);
    assert_eq!(answer["Messages"][0]["Attributes"]["ApproximateReceiveCount"], "1");
}

#[test]
fn a_message_that_was_written_stays_under_its_lease_when_the_connection_ends() {
    let running = start(config());
    let url = running.create("q");
    running.done("SendMessage", &json!({ "QueueUrl": url, "MessageBody": "x" }));
    let answer = running.done("ReceiveMessage", &json!({ "QueueUrl": url }));
    assert_eq!(answer["Messages"][0]["Body"], "x");
    running.wait_for_metric(r#"weir_queue_messages{queue="q",state="leased"} 1"#);
    assert_eq!(running.done("ReceiveMessage", &json!({ "QueueUrl": url })), json!({}));
}

#[test]
fn an_end_answers_who_waits_and_takes_nobody_new() {
    let mut running = start(config());
    let url = running.create("q");
    let mut waiting = waiting(&running, &url);
    running.stop();
    assert_eq!(read_answer(&mut waiting).unwrap().json(), json!({}));
    running.join();
    assert!(TcpStream::connect(running.address).is_err());
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    let mut running = start(config());
    let mut idle = running.connect();
    idle.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    idle.read_exact(&mut [0; 12]).unwrap();
    let mut silent = running.connect();
    running.stop();
    running.join();
    assert_eq!(silent.read_to_end(&mut Vec::new()).unwrap_or(0), 0);
}

#[test]
fn health_and_metrics_are_served() {
    let running = start(config());
    assert_eq!(running.get("/health/live").status, 200);
    assert_eq!(running.get("/health/ready").status, 200);
    running.call("SendMessage", &json!({}));
    running.wait_for_metric(r#"weir_requests_total{door="sqs",operation="SendMessage",status="400"} 1"#);
    let page = String::from_utf8(running.get("/metrics").body).unwrap();
    for line in
        ["# TYPE weir_request_seconds histogram", "# TYPE weir_commit_seconds histogram", "weir_queues 0", "# EOF"]
    {
        assert!(page.lines().any(|found| found == line), "{line} is not in {page}");
    }
    assert_eq!(running.get("/nowhere").status, 404);
}

#[test]
fn http_2_without_tls_is_spoken_on_the_same_port() {
    let running = start(config());
    let mut stream = running.connect();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame[3], 4, "the first frame is of settings");
}

#[test]
fn an_address_that_others_reach_is_refused_without_keys() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (shard, _) = weir_shard::Shard::open(weir_store::MemoryDisk::new(), weir_store::Options::default()).unwrap();
    let config = Config { listen: "0.0.0.0:0".parse().unwrap(), ..config() };
    let refused = runtime.block_on(weir_server::Server::bind(config, shard.clone())).err().unwrap();
    assert!(refused.to_string().contains("no keys are configured"), "{refused}");
    shard.close();
}
