//! What an operator may set.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use weir_aws::sqs::Limits;
use weir_core::api::Namespace;
use weir_push::network::Network;

use crate::access::AccessKey;
use crate::commands::Commands;
use crate::tls::TlsFiles;

/// Configuration of the server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen. Without keys only loopback addresses are accepted, unless `insecure` is set. Default
    /// `127.0.0.1:9324`.
    pub listen: SocketAddr,
    /// Whether to listen where others can reach it although nothing tells who may. Default no.
    pub insecure: bool,
    /// The keys that requests must be signed with. Default none: whoever reaches the server may do everything.
    pub keys: Vec<AccessKey>,
    /// Certificate and key, if TLS is spoken; then nothing else is. Default none.
    pub tls: Option<TlsFiles>,
    /// Scheme and host of the queue URLs that are handed out. Default: that of the connection, and the host that was asked.
    pub public_url: Option<PublicUrl>,
    /// Longest body of a request in bytes. Default 17 MiB: the longest message and what JSON adds to it.
    pub body_bytes_max: usize,
    /// Most bytes that all unfinished bodies together may take. Default 256 MiB.
    pub bodies_bytes_max: usize,
    /// Most bytes of a request's line and headers. Default 64 KiB.
    pub header_bytes_max: usize,
    /// Most headers of a request. Default 100.
    pub headers_max: usize,
    /// Most open connections. Default 10 000.
    pub connections_max: usize,
    /// How long a connection may take to send a request's headers, and how long it may be idle. Default 60 s.
    pub header_timeout: Duration,
    /// How long nothing of a body may arrive. Default 10 s.
    pub body_idle_timeout: Duration,
    /// How long a body may take altogether. Default 120 s.
    pub body_timeout: Duration,
    /// How long open requests may take once the server is told to stop. Default 10 s.
    pub stop_timeout: Duration,
    /// The limits of SQS. Default ours.
    pub limits: Limits,
    /// Networks that pushes may go to although they are not public. Default none.
    pub push_allow_networks: Vec<Network>,
    /// What runs the commands behind functions. Default none: such functions are refused, and those that are stored wait.
    pub commands: Option<Arc<dyn Commands>>,
    /// The region in ARNs. Default `us-east-1`.
    pub region: String,
    /// The namespace of queues that are named without one. Default 0.
    pub namespace: Namespace,
    /// Where the key is kept that notifications of topics are signed with. Default none: each life has another key.
    pub signing_directory: Option<PathBuf>,
}

/// Scheme and host of the URLs by which others reach the server, such as those of a proxy before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// `http` or `https`.
    pub scheme: String,
    /// Host, with the port if there is one.
    pub host: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9324)),
            insecure: false,
            keys: Vec::new(),
            tls: None,
            public_url: None,
            body_bytes_max: 17 << 20,
            bodies_bytes_max: 256 << 20,
            header_bytes_max: 64 << 10,
            headers_max: 100,
            connections_max: 10_000,
            header_timeout: Duration::from_mins(1),
            body_idle_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_mins(2),
            stop_timeout: Duration::from_secs(10),
            limits: Limits::OURS,
            push_allow_networks: Vec::new(),
            commands: None,
            region: "us-east-1".to_owned(),
            namespace: Namespace(0),
            signing_directory: None,
        }
    }
}

/// `server.unsafe_listen`: an address that others can reach, without keys to tell who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsafe {
    /// It would give away messages.
    #[error(
        "will not listen on {listen}: no keys are configured, so whoever reaches that address could read and delete every message; configure keys, listen on a loopback address such as 127.0.0.1:{}, or say --insecure if that is what you want",
        listen.port()
    )]
    Messages {
        /// The address.
        listen: SocketAddr,
    },
    /// It would give away the machine.
    #[error(
        "will not listen on {listen} while functions.allow_commands is true: no keys are configured, so whoever reaches that address could run programs on this machine; configure keys, or listen on a loopback address such as 127.0.0.1:{}",
        listen.port()
    )]
    Commands {
        /// The address.
        listen: SocketAddr,
    },
}

impl Config {
    /// Refuses addresses that others can reach, unless that is asked for; where commands are run it cannot be.
    ///
    /// # Errors
    /// What whoever reaches the address could do.
    pub fn check_listen(&self, runs_commands: bool) -> Result<(), Unsafe> {
        let listen = self.listen;
        if listen.ip().to_canonical().is_loopback() || !self.keys.is_empty() {
            return Ok(());
        }
        match (runs_commands, self.insecure) {
            (true, _) => Err(Unsafe::Commands { listen }),
            (false, false) => Err(Unsafe::Messages { listen }),
            (false, true) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_safe_without_keys() {
        for (address, safe) in [
            ("127.0.0.1:9324", true),
            ("127.8.8.8:1", true),
            ("[::1]:9324", true),
            ("[::ffff:127.0.0.1]:9324", true),
            ("0.0.0.0:9324", false),
            ("[::]:9324", false),
            ("192.168.0.7:9324", false),
        ] {
            let config = Config { listen: address.parse().unwrap(), ..Config::default() };
            assert_eq!(config.check_listen(false).is_ok(), safe, "{address}");
            let insecure = Config { insecure: true, ..config };
            assert!(insecure.check_listen(false).is_ok(), "{address}");
            assert_eq!(insecure.check_listen(true).is_ok(), safe, "{address}");
        }
        let text = Unsafe::Messages { listen: "0.0.0.0:80".parse().unwrap() }.to_string();
        assert!(text.contains("no keys") && text.contains("0.0.0.0:80") && text.contains("127.0.0.1:80"));
    }
}
