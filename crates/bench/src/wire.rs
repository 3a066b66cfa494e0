//! HTTP/1.1 as lean as it can be: fixed requests over kept connections, answers told apart by their length.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::signing::Signing;

/// The host that requests name.
pub(crate) const HOST: &str = "127.0.0.1:9324";
/// The type of their bodies.
pub(crate) const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// An SQS request with its headers.
pub(crate) fn request(operation: &str, body: &str) -> Vec<u8> {
    request_with(operation, "", body)
}

/// An SQS request with its headers, and more of them in lines of their own.
pub(crate) fn request_with(operation: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nX-Amz-Target: AmazonSQS.{operation}\r\n\
         Content-Type: {CONTENT_TYPE}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A request to the native API.
pub(crate) fn call(method: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// One kept connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// An answer, borrowed from its connection.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a [u8],
}

/// Where the answer lies that a connection read last, and what it says of itself.
#[derive(Clone, Copy)]
pub(crate) struct Heading {
    pub(crate) status: u16,
    /// When to ask again.
    pub(crate) retry_after: Option<Duration>,
    head_end: usize,
    end: usize,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 64 << 10], filled: 0 })
    }

    /// Sends `request` and reads the answer to it.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Heading> {
        self.stream.write_all(request).await?;
        self.filled = 0;
        let (head_end, length) = loop {
            self.read().await?;
            let got = self.buffer.get(..self.filled).unwrap_or_default();
            if let Some(end) = find(got, b"\r\n\r\n") {
                let head = got.get(..end).unwrap_or_default();
                break (end + 4, number(head, "content-length")?.context("an answer without a length")?);
            }
        };
        let length = usize::try_from(length)?;
        let end = head_end + length;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        while self.filled < end {
            self.read().await?;
        }
        if self.filled > end {
            bail!("an answer is followed by bytes that nobody asked for");
        }
        let head = self.buffer.get(..head_end).unwrap_or_default();
        let status = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let status: u16 = status.context("an answer without a status")?;
        let retry_after = if status == 200 { None } else { number(head, "retry-after")?.map(Duration::from_secs) };
        Ok(Heading { status, retry_after, head_end, end })
    }

    /// The answer that was read last.
    pub(crate) fn answer(&self, heading: Heading) -> Answer<'_> {
        Answer {
            status: heading.status,
            head: self.buffer.get(..heading.head_end).unwrap_or_default(),
            body: self.buffer.get(heading.head_end..heading.end).unwrap_or_default(),
        }
    }

    /// The answer that was read last, which must be a success.
    pub(crate) fn success(&self, heading: Heading) -> anyhow::Result<Answer<'_>> {
        let answer = self.answer(heading);
        if answer.status != 200 {
            bail!("answered {}: {}", answer.status, String::from_utf8_lossy(answer.body));
        }
        Ok(answer)
    }

    /// [`Connection::exchange`] that takes nothing but 200.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        let heading = self.exchange(request).await?;
        self.success(heading)
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let count = self.stream.read(self.buffer.get_mut(self.filled..).unwrap_or_default()).await?;
        if count == 0 {
            bail!("the server hung up");
        }
        self.filled += count;
        Ok(())
    }
}

/// The number in the header `name`, if there is one.
fn number(head: &[u8], name: &str) -> anyhow::Result<Option<u64>> {
    let head = std::str::from_utf8(head).context("an answer's head is not text")?;
    let mut headers = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let value = headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    value.map(|value| value.parse().with_context(|| format!("{name}: {value} is no number"))).transpose()
}

/// Where `needle` starts in `bytes`.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// The text of the first member `name` in the JSON `body`, which has no escapes in it.
pub(crate) fn text_member<'a>(body: &'a [u8], name: &str) -> Option<&'a str> {
    let label = format!("\"{name}\":\"");
    let start = find(body, label.as_bytes())? + label.len();
    let rest = body.get(start..)?;
    let end = rest.iter().position(|&byte| byte == b'"')?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

/// Creates a queue and returns its URL.
pub(crate) async fn create_queue(
    connection: &mut Connection,
    signing: &Signing,
    name: &str,
    attributes: &[(&str, &str)],
) -> anyhow::Result<String> {
    let attributes: serde_json::Map<_, _> =
        attributes.iter().map(|&(name, value)| (name.to_owned(), value.into())).collect();
    let body = serde_json::json!({ "QueueName": name, "Attributes": attributes }).to_string();
    let answer = connection.ask(&signing.request("CreateQueue", &body)).await?;
    Ok(text_member(answer.body, "QueueUrl").context("no QueueUrl in the answer")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_a_header_is_read_whatever_the_case_of_its_name() {
        let head = b"HTTP/1.1 503 Service Unavailable\r\nContent-LENGTH: 12\r\nRetry-After:3";
        assert_eq!(number(head, "content-length").unwrap(), Some(12));
        assert_eq!(number(head, "retry-after").unwrap(), Some(3));
        assert_eq!(number(head, "age").unwrap(), None);
        assert!(number(b"HTTP/1.1 503\r\nRetry-After: soon", "retry-after").is_err());
    }

    #[test]
    fn a_member_is_cut_out_of_json() {
        assert_eq!(text_member(br#"{"a":"x","b":"y z"}"#, "b"), Some("y z"));
        assert_eq!(text_member(br#"{"a":"x"}"#, "b"), None);
    }
}
