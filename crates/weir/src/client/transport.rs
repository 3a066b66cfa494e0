//! Requests over HTTP.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, AsSendBody, Body, http};
use weir_client::signature::{self, Signed};
use weir_client::{Credentials, address};

use super::failure::Failure;
use super::request::Request;
use crate::output;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long nothing may come of a stream: servers send something every 15 seconds.
const QUIET: Duration = Duration::from_mins(1);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 30;

/// One server, over connections that are kept.
#[derive(Debug)]
pub(super) struct Transport {
    agent: Agent,
    /// Without a slash at its end.
    url: String,
    /// Host and, if the URL has one, port.
    host: String,
    credentials: Option<Credentials>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    /// What it says of when to try again.
    pub(super) retry_after_s: Option<u64>,
    pub(super) body: Vec<u8>,
}

impl Transport {
    pub(super) fn new(url: &str, ca_file: Option<&Path>, credentials: Option<Credentials>) -> anyhow::Result<Self> {
        let bad = || Failure::BadUrl { url: url.to_owned() };
        let uri: http::Uri = url.parse().map_err(|_| bad())?;
        let host = uri.authority().filter(|_| matches!(uri.scheme_str(), Some("http" | "https"))).ok_or_else(bad)?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || host.as_str().contains('@') {
            return Err(bad().into());
        }
        let roots = match ca_file {
            Some(path) => trusted(path)?,
            None if uri.scheme_str() == Some("https") => trusted_by_system()?,
            None => RootCerts::new_with_certs(&[]),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build();
        let mut config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT))
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")));
        let name = host.host().trim_matches(['[', ']']);
        let here = name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if here {
            // A proxy would look for the server on its own machine.
            config = config.proxy(None);
        }
        Ok(Self {
            agent: config.build().new_agent(),
            url: url.trim_end_matches('/').to_owned(),
            host: host.as_str().to_owned(),
            credentials,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Sends a request and reads its whole answer.
    pub(super) fn send(&self, request: &Request) -> Result<Response, Failure> {
        let mut response = self.begin(request, Some(request.patience))?;
        let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after_s = header.and_then(|value| value.parse().ok());
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        Ok(Response { status, retry_after_s, body: body.map_err(|error| self.failure(&error))? })
    }

    /// Sends a request for a stream that does not end.
    pub(super) fn stream(&self, request: &Request) -> Result<impl Read + use<>, Failure> {
        let mut response = self.begin(request, None)?;
        let status = response.status().as_u16();
        if status == 200 {
            return Ok(response.into_body().into_reader());
        }
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let refused = Response { status, retry_after_s: None, body: body.map_err(|error| self.failure(&error))? };
        Err(Failure::of_native(&refused, &request.path))
    }

    /// Sends a request and reads the head of its answer. Without `patience` all of it may take for ever, if only something
    /// comes from time to time.
    fn begin(&self, request: &Request, patience: Option<Duration>) -> Result<http::Response<Body>, Failure> {
        let query = request.query();
        let mark = if query.is_empty() { "" } else { "?" };
        let mut head = http::Request::builder()
            .method(request.method)
            .uri(format!("{}{}{mark}{query}", self.url, request.path))
            .header("host", &self.host);
        for (name, value) in &request.headers {
            head = head.header(*name, value);
        }
        for (name, value) in self.signed(request, &query) {
            head = head.header(name, value);
        }
        let begun = match &request.body {
            Some(body) => self.run(head.body(body.as_slice()), patience),
            None => self.run(head.body(()), patience),
        };
        begun.map_err(|error| self.failure(&error))
    }

    fn run<B: AsSendBody>(
        &self,
        request: http::Result<http::Request<B>>,
        patience: Option<Duration>,
    ) -> Result<http::Response<Body>, ureq::Error> {
        let config = self.agent.configure_request(request?).timeout_global(patience).timeout_per_read(match patience {
            Some(_) => None,
            None => Some(QUIET),
        });
        self.agent.run(config.build())
    }

    /// The headers that sign a request.
    fn signed(&self, request: &Request, query: &str) -> Vec<(&'static str, String)> {
        let Some(credentials) = &self.credentials else { return Vec::new() };
        let ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let moment = output::stamp(ms).replace(['-', ':'], "");
        let mut all: Vec<(&str, &str)> = request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend([("host", self.host.as_str()), ("x-amz-date", moment.as_str())]);
        all.extend(credentials.session_token().map(|token| ("x-amz-security-token", token)));
        let signed = Signed {
            method: request.method,
            path: &address::signed(&request.path),
            query,
            body: request.body.as_deref().unwrap_or_default(),
            service: "sqs",
            moment: &moment,
        };
        let authorization = signature::authorization(credentials, &signed, &all);
        let mut added = vec![("authorization", authorization), ("x-amz-date", moment)];
        added.extend(credentials.session_token().map(|token| ("x-amz-security-token", token.to_owned())));
        added
    }

    fn failure(&self, error: &ureq::Error) -> Failure {
        let url = self.url.clone();
        let unreachable = |reason: String| Failure::Unreachable { url: url.clone(), reason };
        match error {
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                unreachable("connection refused".to_owned())
            }
            ureq::Error::HostNotFound => unreachable("no machine has this name".to_owned()),
            ureq::Error::ConnectionFailed => unreachable("connection refused".to_owned()),
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                unreachable("nothing answers in time".to_owned())
            }
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_) => unreachable(error.to_string()),
            ureq::Error::Protocol(_) | ureq::Error::Http(_) | ureq::Error::BodyExceedsLimit(_) => {
                Failure::Strange { url, reason: error.to_string() }
            }
            other => Failure::NoAnswer { url, reason: other.to_string() },
        }
    }
}

/// The certificates that the system trusts.
fn trusted_by_system() -> anyhow::Result<RootCerts> {
    let found = rustls_native_certs::load_native_certs();
    let certificates: Vec<_> = found.certs.iter().map(|found| Certificate::from_der(found).to_owned()).collect();
    anyhow::ensure!(
        !certificates.is_empty(),
        "no trusted certificates are on this machine: name those of the server's authority with --ca-file"
    );
    Ok(RootCerts::new_with_certs(&certificates))
}

/// The certificates of a PEM file.
fn trusted(path: &Path) -> anyhow::Result<RootCerts> {
    let about = || format!("cannot trust the certificates of {}", path.display());
    let pem = std::fs::read(path).with_context(about)?;
    let mut certificates = Vec::new();
    for part in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = part.with_context(about)? {
            certificates.push(certificate);
        }
    }
    anyhow::ensure!(!certificates.is_empty(), "{}: there is none in it", about());
    Ok(RootCerts::new_with_certs(&certificates))
}
