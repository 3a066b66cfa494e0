//! Connecting to a target: the name is looked up once, every address is judged, and the connection goes to one of those
//! that were.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use weir_push::Egress;

/// Addresses of a name that are tried at most.
const TRIED_MAX: usize = 4;

/// Connects where it may.
#[derive(Clone, Debug)]
pub(super) struct Connect {
    pub(super) egress: Arc<Egress>,
    pub(super) timeout: Duration,
    /// How many names are looked up at once: each takes a thread for as long as the resolver takes.
    pub(super) lookups: Arc<Semaphore>,
}

type Failed = Box<dyn Error + Send + Sync>;

impl tower_service::Service<Uri> for Connect {
    type Response = TokioIo<TcpStream>;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connect = self.clone();
        Box::pin(async move {
            let timeout = connect.timeout;
            match tokio::time::timeout(timeout, connect.connect(&uri)).await {
                Ok(connected) => connected.map(TokioIo::new),
                Err(_) => Err(Box::new(TimedOut(timeout)) as Failed),
            }
        })
    }
}

/// No connection came about in time.
#[derive(Debug, thiserror::Error)]
#[error("no connection within {} ms", .0.as_millis())]
pub(super) struct TimedOut(Duration);

impl Connect {
    async fn connect(&self, uri: &Uri) -> Result<TcpStream, Failed> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let mut last: Failed = format!("{host} has no address").into();
        let mut tried = 0;
        for address in self.resolve(host, port).await? {
            // Judged here, on the very address that is connected to: nobody can put another in its place.
            if let Err(refused) = self.egress.check(address.ip()) {
                last = Box::new(refused);
                continue;
            }
            if tried == TRIED_MAX {
                break;
            }
            tried += 1;
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // Requests are written whole, and wait for their answers.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => last = format!("cannot connect to {address}: {error}").into(),
            }
        }
        Err(last)
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failed> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let _turn = self.lookups.acquire().await?;
        let found: io::Result<Vec<_>> = tokio::net::lookup_host((host, port)).await.map(Iterator::collect);
        found.map_err(|error| format!("cannot look up {host}: {error}").into())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tower_service::Service as _;

    use super::*;

    fn connect(allowed: &[&str]) -> Connect {
        let allowed = allowed.iter().map(|network| network.parse().unwrap()).collect();
        Connect {
            egress: Arc::new(Egress { allowed, only: Vec::new() }),
            timeout: Duration::from_mins(1),
            lookups: Arc::new(Semaphore::new(1)),
        }
    }

    #[tokio::test]
    async fn names_and_addresses_are_judged_by_what_they_stand_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            let uri: Uri = format!("http://{host}:{port}/").parse().unwrap();
            let refused = connect(&[]).call(uri.clone()).await.unwrap_err().to_string();
            assert!(refused.contains("is a loopback address, which is not called unless"), "{refused}");
            connect(&["127.0.0.0/8", "::1"]).call(uri).await.map_or_else(|error| panic!("{host}: {error}"), drop);
        }
    }
}
