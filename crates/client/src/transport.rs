//! Requests over HTTP, on connections that are kept.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;

use crate::address;
use crate::credentials::Credentials;
use crate::error::{Error, Problem};
use crate::signature::{self, Signed};

#[cfg(feature = "tls")]
type Connector = hyper_rustls::HttpsConnector<HttpConnector>;
#[cfg(not(feature = "tls"))]
type Connector = HttpConnector;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(50);
/// Longest answer that is read: 1 000 jobs of 17 MiB together, and what stands around them.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// One server.
#[derive(Debug)]
pub(crate) struct Transport {
    http: Client<Connector, Full<Bytes>>,
    /// Without a slash at its end.
    url: String,
    /// Host and, if the address has one, port.
    host: String,
    credentials: Option<Credentials>,
}

/// What is asked of a server.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Bytes>,
    idempotency_key: Option<String>,
    /// How long all of it may take.
    patience: Duration,
}

impl Call {
    pub(crate) fn new(method: Method, segments: &[&str], patience: Duration) -> Self {
        let path = address::path(segments);
        Self { method, path, query: Vec::new(), body: None, idempotency_key: None, patience }
    }

    pub(crate) fn query(mut self, name: &'static str, value: String) -> Self {
        self.query.push((name, value));
        self
    }

    /// A body of JSON.
    pub(crate) fn body(mut self, json: impl Into<Bytes>) -> Self {
        self.body = Some(json.into());
        self
    }

    pub(crate) fn idempotency_key(mut self, key: String) -> Self {
        self.idempotency_key = Some(key);
        self
    }

    /// Whether doing it twice is the same as doing it once.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.method == Method::GET || self.method == Method::PUT || self.idempotency_key.is_some()
    }
}

impl Transport {
    pub(crate) fn new(url: &str, credentials: Option<Credentials>, trusted: Option<&[u8]>) -> Result<Self, Error> {
        let bad = || Error::Address { url: url.to_owned() };
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let served = if cfg!(feature = "tls") { &["http", "https"][..] } else { &["http"][..] };
        let host = uri.authority().filter(|_| uri.scheme_str().is_some_and(|scheme| served.contains(&scheme)));
        let host = host.ok_or_else(bad)?.as_str().to_owned();
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || host.contains('@') {
            return Err(bad());
        }
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let connector = secure(tcp, uri.scheme_str() == Some("https"), trusted).map_err(|reason| {
            let reason = format!("the certificates to be trusted cannot be read: {reason}");
            Error::Unreachable { url: url.to_owned(), reason }
        })?;
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), host, credentials })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Asks once, and reads the answer.
    pub(crate) async fn call<R: DeserializeOwned>(&self, call: &Call) -> Result<R, Error> {
        let bytes = self.exchange(call).await?;
        // What has no body says nothing: a unit, or nothing at all.
        let json = if bytes.is_empty() { &b"null"[..] } else { &bytes[..] };
        serde_json::from_slice(json).map_err(|error| match error.classify() {
            // It is JSON, of another shape: a job may carry what its reader does not expect.
            serde_json::error::Category::Data => Error::decode("the answer")(error),
            _ => Error::Strange { url: self.url.clone(), reason: error.to_string() },
        })
    }

    async fn exchange(&self, call: &Call) -> Result<Bytes, Error> {
        let late = || Error::NoAnswer {
            url: self.url.clone(),
            reason: format!("nothing came within {} s", call.patience.as_secs_f32()),
        };
        tokio::time::timeout(call.patience, self.attempt(call)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn attempt(&self, call: &Call) -> Result<Bytes, Error> {
        let answer = self.http.request(self.request(call)?).await.map_err(|error| {
            let url = self.url.clone();
            let reason = innermost(&error);
            if error.is_connect() { Error::Unreachable { url, reason } } else { Error::NoAnswer { url, reason } }
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| Error::NoAnswer {
            url: self.url.clone(),
            reason: format!("the answer broke off: {error}"),
        })?;
        let body = body.to_bytes();
        if head.status.is_success() {
            return Ok(body);
        }
        let mut problem: Problem = serde_json::from_slice(&body).map_err(|_| Error::Strange {
            url: self.url.clone(),
            reason: format!("status {} without a problem to go with it, for {}", head.status.as_u16(), call.path),
        })?;
        let retry_after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        problem.retry_after = retry_after.map(Duration::from_secs);
        Err(Error::Refused(problem.into()))
    }

    fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, Error> {
        let query = address::query(&call.query);
        let mark = if query.is_empty() { "" } else { "?" };
        let mut request = Request::builder()
            .method(&call.method)
            .uri(format!("{}{}{mark}{query}", self.url, call.path))
            .header(USER_AGENT, concat!("weir-client/", env!("CARGO_PKG_VERSION")));
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(key) = &call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        for (name, value) in self.signed(call, &query) {
            request = request.header(name, value);
        }
        request
            .body(Full::new(call.body.clone().unwrap_or_default()))
            .map_err(|error| Error::Strange { url: self.url.clone(), reason: error.to_string() })
    }

    /// The headers that sign a request.
    fn signed(&self, call: &Call, query: &str) -> Vec<(hyper::header::HeaderName, HeaderValue)> {
        let Some(credentials) = &self.credentials else { return Vec::new() };
        let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default();
        let moment = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let headers = [("host", self.host.as_str()), ("x-amz-date", moment.as_str())];
        let token = credentials.session_token.as_deref().map(|token| ("x-amz-security-token", token));
        let headers: Vec<(&str, &str)> = headers.into_iter().chain(token).collect();
        let signed = Signed {
            method: call.method.as_str(),
            path: &address::signed(&call.path),
            query,
            body: call.body.as_deref().unwrap_or_default(),
            service: "weir",
            moment: &moment,
        };
        let authorization = signature::authorization(credentials, &signed, &headers);
        let mut all = vec![(AUTHORIZATION, authorization), (HOST, self.host.clone())];
        all.push((hyper::header::HeaderName::from_static("x-amz-date"), moment.clone()));
        all.extend(token.map(|(name, token)| (hyper::header::HeaderName::from_static(name), token.to_owned())));
        // A key with control characters signs nothing that a server would take: it is refused there, by name.
        all.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?))).collect()
    }
}

#[cfg(feature = "tls")]
fn secure(mut tcp: HttpConnector, https: bool, trusted: Option<&[u8]>) -> std::io::Result<Connector> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    use std::io::Error;

    tcp.enforce_http(false);
    let provider = rustls::crypto::ring::default_provider();
    let builder = hyper_rustls::HttpsConnectorBuilder::new();
    let builder = match trusted {
        None if https => builder.with_provider_and_native_roots(provider)?,
        // The system's certificates are read only where they are needed: a container may have none.
        trusted => {
            let mut roots = rustls::RootCertStore::empty();
            for found in trusted.into_iter().flat_map(CertificateDer::pem_slice_iter) {
                roots.add(found.map_err(Error::other)?).map_err(Error::other)?;
            }
            if https && roots.is_empty() {
                return Err(Error::other("there is none among what was given"));
            }
            let config = rustls::ClientConfig::builder_with_provider(provider.into())
                .with_safe_default_protocol_versions()
                .map_err(Error::other)?
                .with_root_certificates(roots)
                .with_no_client_auth();
            builder.with_tls_config(config)
        }
    };
    Ok(builder.https_or_http().enable_http1().wrap_connector(tcp))
}

#[cfg(not(feature = "tls"))]
fn secure(tcp: HttpConnector, _: bool, _: Option<&[u8]>) -> std::io::Result<Connector> {
    Ok(tcp)
}

/// What lies under the layers of an error: `connection refused`.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
