//! Streams of HTTP/2 that end before their answer is written.

use crate::support::{Running, config, start};
use h2::client::SendRequest;
use hyper::Request;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// A connection that takes at most `window` bytes of each answer.
async fn connect(running: &Running, window: u32) -> SendRequest<bytes::Bytes> {
    let stream = TcpStream::connect(running.address).await.unwrap();
    let builder = h2::client::Builder::new().initial_window_size(window).clone();
    let (client, connection) = builder.handshake(stream).await.unwrap();
    // It ends with the test's runtime, or with the server.
    tokio::spawn(connection);
    client
}

async fn call(client: SendRequest<bytes::Bytes>, operation: &str, body: &Value) -> h2::RecvStream {
    let request = Request::post("http://queues.test/").header("x-amz-target", format!("AmazonSQS.{operation}"));
    let mut client = client.ready().await.unwrap();
    let (response, mut stream) = client.send_request(request.body(()).unwrap(), false).unwrap();
    stream.send_data(body.to_string().into(), true).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body()
}

/// What a receive of `wait_s` finds after `break_off`, which gets the body of an answer with a message.
fn after_breaking_off(window: u32, wait_s: u64, break_off: impl AsyncFn(h2::RecvStream)) -> Value {
    let running = start(config());
    let url = running.create("q");
    running.done("SendMessage", &json!({ "QueueUrl": url, "MessageBody": "x".repeat(1_000) }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = connect(&running, window).await;
        let body = call(client.clone(), "ReceiveMessage", &json!({ "QueueUrl": url })).await;
        break_off(body).await;
        let receive =
            json!({ "QueueUrl": url, "WaitTimeSeconds": wait_s, "AttributeNames": ["ApproximateReceiveCount"] });
        let client = connect(&running, 65_535).await;
        let mut body = call(client, "ReceiveMessage", &receive).await;
        let mut whole = Vec::new();
        while let Some(part) = body.data().await {
            whole.extend_from_slice(&part.unwrap());
        }
        serde_json::from_slice(&whole).unwrap()
    })
}

#[test]
fn a_stream_reset_before_its_answer_is_written_returns_the_message_uncounted() {
    let answer = after_breaking_off(0, 20, async |body| drop(body));
    assert_eq!(answer["Messages"][0]["Attributes"]["ApproximateReceiveCount"], "1");
}

#[test]
fn a_stream_reset_in_the_middle_of_its_answer_returns_the_message_uncounted() {
    let answer = after_breaking_off(100, 20, async |mut body| {
        body.data().await.unwrap().unwrap();
    });
    assert_eq!(answer["Messages"][0]["Attributes"]["ApproximateReceiveCount"], "1");
}

#[test]
fn a_stream_reset_after_its_answer_was_written_leaves_the_message_leased() {
    let answer = after_breaking_off(65_535, 1, async |mut body| {
        let mut bytes = 0;
        while bytes < 1_000 {
            bytes += body.data().await.unwrap().unwrap().len();
        }
    });
    assert_eq!(answer, json!({}));
}
