//! Which server, and as whom.

use std::path::PathBuf;

use clap::Args;

use super::Client;
use super::credentials::Credentials;
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
}
