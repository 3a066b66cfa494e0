//! A server that answers by a script, and the command that speaks to it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]
#![allow(dead_code, reason = "each file of tests uses a part of it")]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Its method.
    pub(crate) method: String,
    /// Its path, with its query.
    pub(crate) path: String,
    /// Its headers in lower case, with their values.
    pub(crate) headers: Vec<(String, String)>,
    /// Its body.
    pub(crate) body: Value,
}

impl Request {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The operation of SQS that it asks for, or its path.
    pub(crate) fn asks(&self) -> &str {
        self.header("x-amz-target").and_then(|target| target.strip_prefix("AmazonSQS.")).unwrap_or(&self.path)
    }
}

/// Answers each request with the next answer of its script: a status and a body.
pub(crate) struct Scripted {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Scripted {
    /// Starts it.
    pub(crate) fn start(script: impl IntoIterator<Item = (u16, Value)>) -> Self {
        Self::start_with(script.into_iter().map(|(status, body)| (status, body.to_string())))
    }

    /// Starts it with answers that are no JSON.
    pub(crate) fn start_with(script: impl IntoIterator<Item = (u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let mut script: VecDeque<_> = script.into_iter().collect();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(&stream.unwrap(), &mut script, &seen);
            }
        });
        Self { url, requests }
    }

    /// Runs `weir` against it.
    pub(crate) fn weir(&self, arguments: &[&str]) -> Output {
        weir(arguments, &[("WEIR_URL", &self.url)])
    }

    /// Runs `weir` with an access key against it.
    pub(crate) fn weir_signed(&self, arguments: &[&str]) -> Output {
        let key = [("WEIR_ACCESS_KEY_ID", "mail"), ("WEIR_SECRET_ACCESS_KEY", "hush"), ("WEIR_URL", &self.url)];
        weir(arguments, &key)
    }

    /// Runs `weir` against it, with something on standard input.
    pub(crate) fn weir_fed(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = prepared(arguments, &[("WEIR_URL", &self.url)]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// What came so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// Runs `weir` with nothing of the test's own environment that it would read.
pub(crate) fn weir(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    prepared(arguments, environment).stdin(Stdio::null()).output().unwrap()
}

fn prepared(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("WEIR_") || name.starts_with("AWS_")) {
            command.env_remove(name);
        }
    }
    command.args(arguments).envs(environment.iter().copied());
    command
}

/// What a command wrote to standard output.
pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a command wrote to standard error.
pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Serves the requests of one connection, until it is closed or the script is at its end.
fn serve(stream: &TcpStream, script: &mut VecDeque<(u16, String)>, seen: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        seen.lock().unwrap().push(request);
        let (status, body) = script.pop_front().expect("the script has an answer for every request");
        let answer =
            format!("HTTP/1.1 {status} Scripted\r\nretry-after: 0\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let mut stream = stream;
        stream.write_all(answer.as_bytes()).unwrap();
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&length| length > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, length)| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Some(Request { method, path, headers, body })
}
