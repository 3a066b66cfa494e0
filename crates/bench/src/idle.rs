//! What many queues cost while nothing happens.

use std::time::Duration;

use crate::arguments::{Common, Idle};
use crate::child::Server;
use crate::report::Report;
use crate::signing::Signing;
use crate::wire::{Connection, create_queue};
use crate::work_dir;

pub(crate) fn run(common: &Common, idle: &Idle) -> anyhow::Result<()> {
    let dir = work_dir::fresh(&common.dir)?;
    let server = Server::weir(&common.weir, &dir.path().join("idle"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(server.address).await?;
        for n in 0..idle.queues {
            create_queue(&mut connection, &Signing::Plain, &format!("idle-{n}"), &[]).await?;
        }
        anyhow::Ok(())
    })?;
    // What creating the queues left to do in the background is not idleness.
    std::thread::sleep(Duration::from_secs(idle.settle));
    let before = server.processor_time()?;
    std::thread::sleep(Duration::from_secs(idle.seconds));
    let took = server.processor_time()?.saturating_sub(before);
    let mut report = Report::new("idle");
    report.value("queues", idle.queues, "").value("seconds", idle.seconds, "s");
    report.millis("processor time", took);
    report.value("peak memory", server.memory_peak()? >> 20, "MiB");
    report.print()
}
