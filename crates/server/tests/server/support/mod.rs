//! A server of a test's own, and bare sockets to it.

#![allow(dead_code, reason = "each test uses some of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use weir_server::{Config, Engine, Responder, Server, Stop};
use weir_shard::Shard;
use weir_store::{MemoryDisk, Options};

/// What a wait for something that must happen may take at most; a success never does.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    runtime: Runtime,
    stop: Stop,
    serving: Option<JoinHandle<()>>,
    shard: Option<Shard<Responder>>,
}

/// The configuration of a test: any free port.
pub(crate) fn config() -> Config {
    Config { listen: "127.0.0.1:0".parse().unwrap(), ..Config::default() }
}

/// Starts a server over a shard in memory.
pub(crate) fn start(config: Config) -> Running {
    let small = Options { segment_bytes: 64 << 20, reserve_bytes: 1 << 20, ..Options::default() };
    let (shard, _) = Shard::open(MemoryDisk::new(), small).unwrap();
    let mut running = start_over(config, shard.clone());
    running.shard = Some(shard);
    running
}

/// Starts a server over any engine.
pub(crate) fn start_over(config: Config, engine: impl Engine) -> Running {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(Server::bind(config, engine)).unwrap();
    let (address, stop) = (server.address().unwrap(), server.stopper());
    let serving = Some(runtime.spawn(server.run()));
    Running { address, runtime, stop, serving, shard: None }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {:?}", self.body))
    }
}

impl Answer {
    /// Which error it is.
    pub(crate) fn shape(&self) -> String {
        self.json()["__type"].as_str().unwrap_or_default().to_owned()
    }
}

impl Running {
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes on a connection of their own, and reads until its end. `None` where no answer came.
    pub(crate) fn exchange(&self, bytes: &[u8]) -> Option<Answer> {
        let mut stream = self.connect();
        // A server that refuses hangs up before everything is sent; its answer may still be there to read.
        let _ = stream.write_all(bytes);
        read_answer(&mut stream)
    }

    pub(crate) fn call(&self, operation: &str, request: &Value) -> Answer {
        self.exchange(&bytes_of(operation, request.to_string().as_bytes())).unwrap()
    }

    /// Calls, and returns the JSON of the answer, which must be a success.
    pub(crate) fn done(&self, operation: &str, request: &Value) -> Value {
        let answer = self.call(operation, request);
        assert_eq!(answer.status, 200, "{operation}: {}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    pub(crate) fn create(&self, name: &str) -> String {
        let answer = self.done("CreateQueue", &json!({ "QueueName": name }));
        answer["QueueUrl"].as_str().unwrap().to_owned()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        self.exchange(request.as_bytes()).unwrap()
    }

    /// Waits until `/metrics` has `line`.
    pub(crate) fn wait_for_metric(&self, line: &str) {
        let started = Instant::now();
        while !String::from_utf8(self.get("/metrics").body).unwrap().lines().any(|found| found == line) {
            assert!(started.elapsed() < PATIENCE, "never: {line}");
        }
    }

    pub(crate) fn stop(&self) {
        self.stop.stop();
    }

    /// Waits until the server has ended.
    pub(crate) fn join(&mut self) {
        if let Some(serving) = self.serving.take() {
            self.runtime.block_on(serving).unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        self.join();
        if let Some(shard) = &self.shard {
            shard.close();
        }
    }
}

/// The bytes of a request.
pub(crate) fn bytes_of(operation: &str, body: &[u8]) -> Vec<u8> {
    request(operation, body, body.len())
}

/// The bytes of a request that says its body has `len` bytes.
pub(crate) fn request(operation: &str, body: &[u8], len: usize) -> Vec<u8> {
    let mut bytes = format!(
        "POST / HTTP/1.1\r\nHost: queues.test:9324\r\nX-Amz-Target: AmazonSQS.{operation}\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Reads until the end of the connection.
pub(crate) fn read_answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    // A reset after the answer does not take it back.
    let _ = stream.read_to_end(&mut bytes);
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some(Answer { status, head: head.to_lowercase(), body: bytes[split + 4..].to_vec() })
}
