//! A server as a process of its own, as users run it.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Longest wait for a server to come up.
const START_MAX: Duration = Duration::from_mins(5);
/// Clock ticks of `/proc/PID/stat` in a second: fixed on Linux for every architecture that we run on.
const TICKS_PER_SECOND: u64 = 100;

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From its start to its first good answer.
    pub(crate) started_in: Duration,
}

impl Server {
    /// Starts `weir serve` over `data_dir` and waits until it is ready.
    pub(crate) fn weir(binary: &Path, data_dir: &Path) -> anyhow::Result<Self> {
        Self::start(serve(binary, data_dir), &data_dir.with_extension("log"))
    }

    /// The same with a configuration file, which is written.
    pub(crate) fn weir_configured(binary: &Path, data_dir: &Path, configuration: &str) -> anyhow::Result<Self> {
        let file = data_dir.with_extension("toml");
        std::fs::write(&file, configuration)?;
        let mut command = serve(binary, data_dir);
        command.arg("--config").arg(file);
        Self::start(command, &data_dir.with_extension("log"))
    }

    /// Starts `command`, which tells its address in what it prints, and waits until it is ready.
    pub(crate) fn start(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let began = Instant::now();
        let output = File::create(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), started_in: Duration::ZERO };
        loop {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            if let Some(address) = address_in(&said) {
                server.address = address;
                if ready(address) {
                    server.started_in = began.elapsed();
                    return Ok(server);
                }
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("{command:?} ended with {status}:\n{said}");
            }
            if began.elapsed() > START_MAX {
                bail!("{command:?} is not ready after {START_MAX:?}:\n{said}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Most memory that it held so far, in bytes.
    pub(crate) fn memory_peak(&self) -> anyhow::Result<u64> {
        memory_peak(self.child.id())
    }

    /// Processor time that it took so far.
    pub(crate) fn processor_time(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The second field is the program's name in parentheses, which may hold anything.
        let (_, fields) = stat.rsplit_once(") ").context("no program name in /proc/PID/stat")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks =
            |at: usize| -> anyhow::Result<u64> { Ok(fields.get(at).context("a short /proc/PID/stat")?.parse()?) };
        Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 1000 / TICKS_PER_SECOND))
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended before; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(binary: &Path, data_dir: &Path) -> Command {
    let mut command = Command::new(binary);
    command.arg("serve").arg("--data-dir").arg(data_dir).args(["--listen", "127.0.0.1:0"]);
    command
}

/// Most memory that process `id` held so far, in bytes.
pub(crate) fn memory_peak(id: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .context("no VmHWM in /proc/PID/status")?;
    Ok(kib.trim().parse::<u64>()? * 1024)
}

fn address_in(said: &str) -> Option<SocketAddr> {
    let at = said.find("127.0.0.1:")?;
    let end = said.get(at + 10..)?.find(|c: char| !c.is_ascii_digit())?;
    said.get(at..at + 10 + end)?.parse().ok()
}

fn ready(address: SocketAddr) -> bool {
    use std::io::{Read as _, Write as _};
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return false };
    let asked = stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n");
    let mut answer = [0; 12];
    asked.is_ok() && stream.read_exact(&mut answer).is_ok() && answer.ends_with(b"200")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_a_log_line() {
        let found = address_in("INFO listening address=127.0.0.1:40123 loopback\n");
        assert_eq!(found, Some(SocketAddr::from(([127, 0, 0, 1], 40123))));
        assert_eq!(address_in("127.0.0.1:401"), None, "the line is not complete yet");
    }
}
