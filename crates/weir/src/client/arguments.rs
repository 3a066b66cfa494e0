//! Which server, and as whom.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use weir_client::Credentials;

use super::Client;
use super::transport::Transport;

/// Arguments of every command that speaks to a server.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArguments {
    /// URL of the server. If `WEIR_ACCESS_KEY_ID` and `WEIR_SECRET_ACCESS_KEY` are set, or else the same two of AWS,
    /// requests are signed with them.
    #[arg(long, env = "WEIR_URL", value_name = "URL", default_value = "http://127.0.0.1:9324")]
    url: String,
    /// Trusts the certificates of this PEM file instead of those that the system trusts.
    #[arg(long, env = "WEIR_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl ServerArguments {
    /// Makes ready to speak; nothing is sent yet.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let credentials = Credentials::find(|name| std::env::var(name).ok())?;
        Ok(Client { transport: Transport::new(&self.url, self.ca_file.as_deref(), credentials)? })
    }

    /// The same for a worker, which does many things at once.
    pub(crate) fn worker_client(&self) -> anyhow::Result<weir_client::Client> {
        let credentials = Credentials::find(|name| std::env::var(name).ok())?;
        let mut builder = weir_client::Client::builder(&self.url).credentials(credentials);
        if let Some(path) = &self.ca_file {
            let about = || format!("cannot trust the certificates of {}", path.display());
            builder = builder.trust_pem(std::fs::read(path).with_context(about)?);
        }
        Ok(builder.build()?)
    }
}
