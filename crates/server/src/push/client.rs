//! Calling a target over HTTP, within its bounds on time and length.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::http::Extensions;
use hyper::{Method, Request, Response, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use weir_push::settings::Protocol;
use weir_push::{Egress, Invalid, Target};

use super::connect::{Connect, TimedOut};
use super::heard::{Heard, Listen};
use super::outgoing::Outgoing;

/// How long a connection is kept that nothing is sent over: less than what servers keep one for (Node.js 5 s), since not
/// every request that meets the end of its connection may be sent once more.
const IDLE: Duration = Duration::from_secs(4);
/// Names that are looked up at once.
const LOOKUPS_MAX: usize = 64;

/// What the clients of all targets share.
pub(crate) struct Shared {
    /// What the operator's configuration allows.
    allowed: Vec<weir_push::network::Network>,
    lookups: Arc<Semaphore>,
    /// Read when the first target needs it.
    trusted: std::sync::OnceLock<Arc<ClientConfig>>,
}

impl Shared {
    pub(crate) fn new(allowed: Vec<weir_push::network::Network>) -> Self {
        Self { allowed, lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)), trusted: std::sync::OnceLock::new() }
    }

    fn tls(&self, target: &Target) -> Result<ClientConfig, Invalid> {
        let Some(pem) = &target.settings.ca else {
            if !target.url.secure {
                return Ok(config(RootCertStore::empty()));
            }
            let trusted = self.trusted.get_or_init(|| {
                let mut roots = RootCertStore::empty();
                let found = rustls_native_certs::load_native_certs();
                for error in &found.errors {
                    tracing::warn!(%error, "a certificate that the system trusts cannot be read");
                }
                let (added, _) = roots.add_parsable_certificates(found.certs);
                if added == 0 {
                    tracing::warn!("the system trusts no certificates: push targets over https need a `ca`");
                }
                Arc::new(config(roots))
            });
            return Ok((**trusted).clone());
        };
        let mut roots = RootCertStore::empty();
        let bad = |text: String| Invalid { field: "ca".to_owned(), text };
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| bad(format!("must be certificates in PEM: {error}")))?;
            roots.add(certificate).map_err(|error| bad(format!("has a certificate that cannot be used: {error}")))?;
        }
        if roots.is_empty() {
            return Err(bad("must be certificates in PEM, and there is none in it".to_owned()));
        }
        Ok(config(roots))
    }
}

fn config(roots: RootCertStore) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("the provider has what TLS 1.2 and 1.3 need");
    builder.with_root_certificates(roots).with_no_client_auth()
}

/// A client of one target, with its connections.
pub(crate) struct Client {
    http: Http,
    /// The same, but for keeping connections: each request goes over a new one.
    anew: Http,
    /// Whether requests go one after the other over a connection, as far as is known before it is there.
    in_turn: bool,
    uri: Uri,
    /// Until the answer begins.
    first_byte: Duration,
    total: Duration,
    response_bytes_max: usize,
}

type Http = legacy::Client<Listen, Outgoing>;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Nothing where it is longer than is read.
    pub(super) body: Option<Vec<u8>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct NoAnswer {
    pub(super) text: String,
    /// Whether time ran out.
    pub(super) timed_out: bool,
}

impl Client {
    /// A client without connections.
    ///
    /// # Errors
    /// When the certificates of the target cannot be used.
    pub(crate) fn new(target: &Target, shared: &Shared) -> Result<Self, Invalid> {
        let timeouts = target.settings.timeouts;
        let connect = Connect {
            egress: Arc::new(Egress { allowed: shared.allowed.clone(), only: target.networks.clone() }),
            timeout: Duration::from_millis(timeouts.connect_ms),
            lookups: Arc::clone(&shared.lookups),
        };
        let builder = HttpsConnectorBuilder::new().with_tls_config(shared.tls(target)?).https_or_http();
        let connector = Listen(match target.settings.protocol {
            Protocol::Auto => builder.enable_http1().enable_http2().wrap_connector(connect),
            Protocol::Http1 => builder.enable_http1().wrap_connector(connect),
            Protocol::Http2 => builder.enable_http2().wrap_connector(connect),
        });
        let is_http2 = target.settings.protocol == Protocol::Http2;
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).http2_only(is_http2);
        Ok(Self {
            anew: builder.clone().pool_max_idle_per_host(0).build(connector.clone()),
            http: builder.pool_max_idle_per_host(target.settings.concurrency.max as usize).build(connector),
            in_turn: !is_http2,
            uri: target.url.uri.clone(),
            first_byte: Duration::from_millis(timeouts.connect_ms.saturating_add(timeouts.first_byte_ms)),
            total: Duration::from_millis(timeouts.total_ms),
            response_bytes_max: usize::try_from(target.settings.response_bytes_max).unwrap_or(usize::MAX),
        })
    }

    /// Sends a request and reads its answer.
    pub(super) async fn call(&self, headers: HeaderMap, body: Outgoing) -> Result<Answer, NoAnswer> {
        match tokio::time::timeout(self.total, self.exchange(headers, body)).await {
            Ok(answered) => answered,
            Err(_) => Err(late(format!("no whole answer within {} ms", self.total.as_millis()))),
        }
    }

    async fn exchange(&self, headers: HeaderMap, body: Outgoing) -> Result<Answer, NoAnswer> {
        let once_more = if self.in_turn { body.once_more().map(|body| (headers.clone(), body)) } else { None };
        let asked = match (self.ask(&self.http, headers, body).await, once_more) {
            (Err(Unanswered { let_go: true, .. }), Some((headers, body))) => self.ask(&self.anew, headers, body).await,
            (asked, _) => asked,
        };
        let (head, body) = asked.map_err(|unanswered| unanswered.why)?.into_parts();
        let body = self.read(body).await?;
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// Sends a request and waits until its answer begins.
    async fn ask(&self, http: &Http, headers: HeaderMap, body: Outgoing) -> Result<Response<Incoming>, Unanswered> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        match tokio::time::timeout(self.first_byte, http.request(request)).await {
            Ok(Ok(response)) => {
                response.extensions().get::<Heard>().inspect(|heard| heard.answer());
                Ok(response)
            }
            Ok(Err(error)) => Err(Unanswered { let_go: was_let_go(&error), why: no_answer(&error) }),
            Err(_) => {
                let why = late(format!("no answer within {} ms", self.first_byte.as_millis()));
                Err(Unanswered { let_go: false, why })
            }
        }
    }

    /// Reads a body, as long as it may be. What is longer is dropped, and its connection with it.
    async fn read(&self, mut body: Incoming) -> Result<Option<Vec<u8>>, NoAnswer> {
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| no_answer(&error))?;
            let Ok(data) = frame.into_data() else { continue };
            if read.len() + data.len() > self.response_bytes_max {
                return Ok(None);
            }
            read.extend_from_slice(&data);
        }
        Ok(Some(read))
    }
}

/// Why no answer began.
struct Unanswered {
    /// Whether that may have been the end of a connection that the other side had kept for long enough.
    let_go: bool,
    why: NoAnswer,
}

/// Whether a request met the end of a connection over which another was answered before, and nothing of its own answer came.
/// Over HTTP/2 others may have been answered since, and the other side says itself which requests it did not take.
fn was_let_go(error: &legacy::Error) -> bool {
    let Some(connection) = error.connect_info().filter(|connection| !connection.is_negotiated_h2()) else {
        return false;
    };
    let mut told = Extensions::new();
    connection.get_extras(&mut told);
    told.get::<Heard>().is_some_and(Heard::only_silence)
}

/// What went wrong, with its causes.
fn no_answer(error: &(dyn Error + 'static)) -> NoAnswer {
    let mut text = String::new();
    let mut timed_out = false;
    let mut cause = Some(error);
    while let Some(error) = cause {
        timed_out |= error.is::<TimedOut>();
        let told = error.to_string();
        // Several layers of the library say the same.
        if !text.contains(&told) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&told);
        }
        cause = error.source();
    }
    NoAnswer { text, timed_out }
}

fn late(text: String) -> NoAnswer {
    NoAnswer { text, timed_out: true }
}
