//! A server of a test's own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinHandle;
use weir_client::Client;
use weir_server::{Config, Responder, Server, Stop};
use weir_shard::Shard;
use weir_store::{MemoryDisk, Options};

/// What a wait for something that must happen may take at most; a success never does.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Running {
    pub(crate) client: Client,
    address: SocketAddr,
    shard: Shard<Responder>,
    stop: Stop,
    serving: Option<JoinHandle<()>>,
}

/// Starts a server over a shard in memory.
pub(crate) async fn start() -> Running {
    let small = Options { segment_bytes: 64 << 20, reserve_bytes: 1 << 20, ..Options::default() };
    let (shard, _) = Shard::open(MemoryDisk::new(), small).unwrap();
    let (address, stop, serving) = serve("127.0.0.1:0".parse().unwrap(), &shard).await;
    let client = Client::new(&format!("http://{address}")).unwrap();
    Running { client, address, shard, stop, serving: Some(serving) }
}

async fn serve(listen: SocketAddr, shard: &Shard<Responder>) -> (SocketAddr, Stop, JoinHandle<()>) {
    let server = Server::bind(Config { listen, ..Config::default() }, shard.clone()).await.unwrap();
    (server.address().unwrap(), server.stopper(), tokio::spawn(server.run()))
}

impl Running {
    /// Ends the server with all its connections, and starts another one at the same address.
    pub(crate) async fn restart(&mut self) {
        self.stop.stop();
        self.serving.take().unwrap().await.unwrap();
        let (_, stop, serving) = serve(self.address, &self.shard).await;
        (self.stop, self.serving) = (stop, Some(serving));
    }

    /// What the server answers to a GET.
    pub(crate) async fn get(&self, path: &str) -> serde_json::Value {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
        self.shard.close();
    }
}
