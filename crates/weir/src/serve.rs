//! `weir serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use weir_aws::sqs::Limits;
use weir_server::{Config, Responder, Server, Stop};
use weir_shard::Shard;
use weir_store::{FileDisk, MemoryDisk, Options, Recovery};

/// Arguments of `weir serve`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where the data is kept. Made if it does not exist.
    #[arg(long, env = "WEIR_DATA_DIR", value_name = "DIR", default_value = "./weir-data")]
    data_dir: PathBuf,
    /// Where to listen. Without configured keys only a loopback address is accepted.
    #[arg(long, env = "WEIR_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:9324")]
    listen: SocketAddr,
    /// Keeps everything in memory: nothing is written to disk, and all is gone when the server ends.
    #[arg(long, env = "WEIR_MEMORY")]
    memory: bool,
    /// Whose limits hold: ours, or AWS's to the letter.
    #[arg(long, env = "WEIR_COMPAT_ENFORCE", value_enum, default_value_t = Enforce::Weir)]
    compat_enforce: Enforce,
    /// The region in the ARNs of queues.
    #[arg(long, env = "WEIR_REGION", default_value = "us-east-1")]
    region: String,
    /// Most connections at once.
    #[arg(long, env = "WEIR_CONNECTIONS_MAX", value_name = "N", default_value_t = 10_000)]
    connections_max: usize,
    /// Memory for state that the tables do not hold yet, in MiB. When it is full, producers are told to come back.
    #[arg(long, env = "WEIR_OVERLAY_MIB", value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(16..))]
    overlay_mib: u64,
    /// Cache of the tables in MiB.
    #[arg(long, env = "WEIR_TABLE_CACHE_MIB", value_name = "MIB", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..))]
    table_cache_mib: u64,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Enforce {
    Weir,
    Aws,
}

/// Serves until a signal comes.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = Config {
        listen: arguments.listen,
        connections_max: arguments.connections_max,
        region: arguments.region.clone(),
        limits: match arguments.compat_enforce {
            Enforce::Weir => Limits::OURS,
            Enforce::Aws => Limits::AWS,
        },
        ..Config::default()
    };
    // Refused before the data is touched.
    config.check_listen()?;
    let shard = open(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("weir-http")
        .build()
        .context("cannot start the threads that serve HTTP")?;
    let outcome = runtime.block_on(serve(config, shard.clone()));
    // Blocks until all is durable and the shutdown is marked as clean.
    shard.close();
    if let Some(reason) = shard.metrics().poisoned {
        anyhow::bail!("storage failed: {reason}");
    }
    outcome?;
    tracing::info!("ended in good order");
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config, shard: Shard<Responder>) -> anyhow::Result<()> {
    let listen = config.listen;
    let server = Server::bind(config, shard).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = server.address().context("the listening socket has no address")?;
    stop_on_signal(server.stopper())?;
    tracing::info!("serving SQS on http://{address}, to this machine only, since no keys are configured");
    server.run().await;
    Ok(())
}

fn stop_on_signal(stop: Stop) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("ending: open requests are answered first");
        stop.stop();
    });
    Ok(())
}

fn open(arguments: &Arguments) -> anyhow::Result<Shard<Responder>> {
    let overlay = mib(arguments.overlay_mib);
    let options = Options {
        overlay_bytes_max: overlay,
        checkpoint_overlay_bytes: overlay / 2,
        table_cache_bytes: mib(arguments.table_cache_mib),
        salt: rand::random(),
        ..Options::default()
    };
    if arguments.memory {
        tracing::warn!("keeping everything in memory: all is gone when the server ends");
        let (shard, _) = Shard::open(MemoryDisk::new(), options)?;
        return Ok(shard);
    }
    let folder = arguments.data_dir.display();
    let disk = FileDisk::new(&arguments.data_dir).with_context(|| format!("cannot use {folder} as data directory"))?;
    let (shard, recovery) = Shard::open(disk, options).with_context(|| format!("cannot open the data in {folder}"))?;
    tell(&recovery, &folder);
    Ok(shard)
}

fn tell(recovery: &Recovery, folder: &std::path::Display<'_>) {
    let Recovery { replayed_groups, replayed_bytes, clean, .. } = *recovery;
    tracing::info!(clean, replayed_groups, replayed_bytes, "opened the data in {folder}");
    if let Some(torn) = &recovery.torn {
        tracing::warn!("the last write was cut short and is gone; nothing in it had been acknowledged: {torn:?}");
    }
}

fn mib(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX).saturating_mul(1 << 20)
}
