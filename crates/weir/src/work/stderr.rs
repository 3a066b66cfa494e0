//! What a process says while it runs: lines for the log of its job, and its progress.

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

/// Longest line; what is longer is cut into several. The server takes 64 KiB.
const LINE_BYTES_MAX: u64 = 60_000;
/// How much of the end is kept for the history of the job.
const TAIL_BYTES: usize = 4_000;
/// Starts a line that is no line of the log.
const PROGRESS: &str = "weir:progress ";

/// Who is told.
pub(super) trait Listener: Send {
    /// A line for the log.
    fn line(&mut self, line: String) -> impl Future<Output = ()> + Send;
    /// Progress, as JSON or else as text.
    fn progress(&mut self, text: &str) -> impl Future<Output = ()> + Send;
}

/// The lines of a process.
#[derive(Debug)]
pub(super) struct Lines<L> {
    listener: L,
    tail: String,
}

impl<L: Listener> Lines<L> {
    pub(super) fn new(listener: L) -> Self {
        Self { listener, tail: String::new() }
    }

    /// Reads to the end.
    pub(super) async fn read(&mut self, stderr: impl AsyncRead + Unpin + Send) {
        let mut stderr = BufReader::new(stderr);
        let mut line = Vec::new();
        loop {
            line.clear();
            match (&mut stderr).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await {
                // A pipe that breaks ends like one that is closed.
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']);
            if let Some(progress) = text.strip_prefix(PROGRESS) {
                self.listener.progress(progress).await;
            } else {
                self.keep(text);
                let mut rest = text;
                // What is not UTF-8 is longer as text.
                while rest.len() as u64 > LINE_BYTES_MAX {
                    let (piece, more) = rest.split_at(rest.floor_char_boundary(LINE_BYTES_MAX as usize));
                    self.listener.line(piece.to_owned()).await;
                    rest = more;
                }
                self.listener.line(rest.to_owned()).await;
            }
        }
    }

    fn keep(&mut self, line: &str) {
        if !self.tail.is_empty() {
            self.tail.push('\n');
        }
        self.tail.push_str(line);
        if self.tail.len() > 2 * TAIL_BYTES {
            let from = self.tail.ceil_char_boundary(self.tail.len() - TAIL_BYTES);
            self.tail.drain(..from);
        }
    }

    /// The last of what was said.
    pub(super) fn into_tail(mut self) -> String {
        let from = self.tail.ceil_char_boundary(self.tail.len().saturating_sub(TAIL_BYTES));
        self.tail.split_off(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Heard(Vec<String>);

    impl Listener for &mut Heard {
        async fn line(&mut self, line: String) {
            self.0.push(line);
        }

        async fn progress(&mut self, text: &str) {
            self.0.push(format!("at {text}"));
        }
    }

    async fn heard(said: &[u8]) -> (Vec<String>, String) {
        let mut heard = Heard::default();
        let mut lines = Lines::new(&mut heard);
        lines.read(said).await;
        let tail = lines.into_tail();
        (heard.0, tail)
    }

    #[tokio::test]
    async fn progress_is_told_from_what_is_logged() {
        let (heard, tail) = heard(b"begun\r\nweir:progress {\"done\": 1}\nno \xff end").await;
        assert_eq!(heard, ["begun", "at {\"done\": 1}", "no \u{fffd} end"]);
        assert_eq!(tail, "begun\nno \u{fffd} end");
    }

    #[tokio::test]
    async fn what_is_no_text_comes_in_pieces_that_are_no_longer_as_text() {
        let (heard, _) = heard(&[0xff].repeat(50_000)).await;
        let longest = heard.iter().map(String::len).max().unwrap();
        assert!(heard.len() == 3 && longest <= 60_000, "{}, {longest}", heard.len());
    }

    #[tokio::test]
    async fn a_line_without_end_comes_in_pieces_and_only_its_end_is_kept() {
        let (heard, tail) = heard("é".repeat(50_000).as_bytes()).await;
        assert_eq!(heard.len(), 2);
        assert!(tail.len() <= TAIL_BYTES && tail.ends_with('é'), "{}", tail.len());
    }
}
