//! `weir serve`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use weir_aws::sqs::Limits;
use weir_server::{Config, Responder, Server, Stop, TlsFiles};
use weir_shard::Shard;
use weir_store::{Durability, FileDisk, MemoryDisk, Options, Recovery};

use crate::config::{Enforce, Flags, Functions, Resolved, Settings, resolve};
use crate::work::Runner;
use crate::{exit, log};

/// Serves until a signal comes.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<ExitCode> {
    let Resolved { settings, warnings, file, .. } = resolve(flags)?;
    log::start(&settings.log)?;
    if let Some(file) = file {
        tracing::info!("configured by {}", file.display());
    }
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    // What goes wrong from here on is said in the log, in its form.
    match run_logged(&settings) {
        Ok(code) => Ok(code),
        Err(error) => {
            tracing::error!("{error:#}");
            Ok(exit::code(&error))
        }
    }
}

fn run_logged(settings: &Settings) -> anyhow::Result<ExitCode> {
    // Refused before the data is touched.
    check(settings)?;
    let config = server_config(settings);
    let shard = open(settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("weir-http")
        .build()
        .context("cannot start the threads that serve HTTP")?;
    let outcome = runtime.block_on(serve_with_commands(config, &settings.functions, shard.clone()));
    // Blocks until all is durable and the shutdown is marked as clean.
    shard.close();
    if let Some(reason) = shard.metrics().poisoned {
        anyhow::bail!("storage failed: {reason}");
    }
    outcome?;
    tracing::info!("ended in good order");
    Ok(ExitCode::SUCCESS)
}

/// Refuses settings that are each in order and do not go together.
pub(crate) fn check(settings: &Settings) -> Result<(), weir_server::Unsafe> {
    server_config(settings).check_listen(settings.functions.allow_commands)
}

/// What the server is told of the settings.
fn server_config(settings: &Settings) -> Config {
    let Settings { general, http, tls, .. } = settings;
    let files = tls.certificate.clone().zip(tls.key.clone());
    Config {
        listen: general.listen,
        insecure: general.insecure,
        keys: settings.keys.clone(),
        tls: files.map(|(certificate, key)| TlsFiles { certificate, key }),
        public_url: general
            .public_url
            .as_ref()
            .map(|url| weir_server::PublicUrl { scheme: url.scheme.clone(), host: url.host.clone() }),
        region: general.region.clone(),
        limits: match settings.compat.enforce {
            Enforce::None => Limits::OURS,
            Enforce::Aws => Limits::AWS,
        },
        push_allow_networks: settings.push.allow_networks.0.clone(),
        connections_max: http.connections_max as usize,
        body_bytes_max: http.body_max.in_memory(),
        bodies_bytes_max: http.bodies_max.in_memory(),
        header_bytes_max: http.header_max.in_memory(),
        headers_max: http.headers_max as usize,
        header_timeout: http.header_timeout,
        body_idle_timeout: http.body_idle_timeout,
        body_timeout: http.body_timeout,
        stop_timeout: http.stop_timeout,
        signing_directory: (!general.memory).then(|| general.data_dir.join("sns")),
        ..Config::default()
    }
}

/// Serves, with processes where functions may have commands behind them.
async fn serve_with_commands(mut config: Config, functions: &Functions, shard: Shard<Responder>) -> anyhow::Result<()> {
    if !functions.allow_commands {
        return serve(config, shard).await;
    }
    if config.keys.is_empty() {
        tracing::warn!(
            "functions.allow_commands without keys: whoever reaches this server runs programs on this machine"
        );
    }
    let (runner, guardian) = Runner::start(usize::try_from(functions.processes_max).unwrap_or(usize::MAX))?;
    config.commands = Some(Arc::new(runner));
    let outcome = serve(config, shard).await;
    // What was cut off is ended by it, before anything can be leased again.
    guardian.end().await.context("cannot wait for the end of processes")?;
    outcome
}

async fn serve(config: Config, shard: Shard<Responder>) -> anyhow::Result<()> {
    let listen = config.listen;
    let keys = config.keys.len();
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let server = Server::bind(config, shard).await.with_context(|| format!("cannot serve on {listen}"))?;
    let address = server.address().context("the listening socket has no address")?;
    stop_on_signal(server.stopper())?;
    let here = listen.ip().to_canonical().is_loopback();
    match (keys, here) {
        (0, true) => {
            tracing::info!("serving SQS on {scheme}://{address}, to this machine only, since no keys are configured");
        }
        (0, false) => {
            tracing::warn!("serving SQS on {scheme}://{address} without keys: whoever reaches it can do everything");
        }
        (keys, _) => tracing::info!(keys, "serving SQS on {scheme}://{address}, to requests that are signed"),
    }
    if !here && scheme == "http" {
        tracing::warn!("connections are not encrypted: set tls.certificate, or have a proxy before this do so");
    }
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

fn open(settings: &Settings) -> anyhow::Result<Shard<Responder>> {
    let Settings { general, storage, .. } = settings;
    let overlay = storage.overlay.in_memory();
    let options = Options {
        overlay_bytes_max: overlay,
        checkpoint_overlay_bytes: overlay / 2,
        checkpoint_log_bytes: storage.checkpoint_log.0,
        table_cache_bytes: storage.table_cache.in_memory(),
        body_cache_bytes: storage.body_cache.in_memory(),
        durability: storage.durability,
        salt: rand::random(),
        ..Options::default()
    };
    if general.memory {
        tracing::warn!("keeping everything in memory: all is gone when the server ends");
        let (shard, _) = Shard::open(MemoryDisk::new(), options)?;
        return Ok(shard);
    }
    let folder = general.data_dir.display();
    let disk = FileDisk::new(&general.data_dir).with_context(|| format!("cannot use {folder} as data directory"))?;
    let (shard, recovery) = Shard::open(disk, options).with_context(|| format!("cannot open the data in {folder}"))?;
    tell(&recovery, &folder);
    if let Durability::Interval(interval) = storage.durability {
        tracing::warn!(
            ?interval,
            "durability is relaxed: a loss of power takes what was acknowledged since the last fsync, which is at most the interval and the time of an fsync ago"
        );
    }
    Ok(shard)
}

fn tell(recovery: &Recovery, folder: &std::path::Display<'_>) {
    let Recovery { replayed_groups, replayed_bytes, clean, .. } = *recovery;
    tracing::info!(clean, replayed_groups, replayed_bytes, "opened the data in {folder}");
    if recovery.blob_bytes_cut > 0 {
        let bytes = recovery.blob_bytes_cut;
        tracing::warn!(bytes, "long bodies that no stored write refers to are gone");
    }
    if recovery.lives_lost > 0 {
        let groups = recovery.torn.as_ref().map_or(0, |torn| torn.groups);
        tracing::warn!(
            groups,
            "durability was relaxed and the server did not end in good order: if the machine went down, what was acknowledged after the last fsync is gone: {:?}",
            recovery.torn
        );
    } else if let Some(torn) = &recovery.torn {
        tracing::warn!("the last write was cut short and is gone; nothing in it had been acknowledged: {torn:?}");
    }
}
