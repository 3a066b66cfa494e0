//! Server-sent events: a stream of an answer, event by event.

use std::io::{BufRead, BufReader, Read};

use super::{Client, Failure, Request};

/// Longest line that is read: an event carries a result of up to 16 MiB.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its id, which a later request names to go on behind it.
    pub(crate) id: Option<String>,
    /// Its type.
    pub(crate) kind: String,
    /// What it carries.
    pub(crate) data: String,
}

/// The events of one connection.
pub(crate) struct Events {
    lines: BufReader<Box<dyn Read>>,
}

impl Client {
    /// Asks for events, from where the request says.
    pub(crate) fn events(&self, request: &Request) -> Result<Events, Failure> {
        Ok(Events { lines: BufReader::new(Box::new(self.transport.stream(request)?)) })
    }
}

impl Iterator for Events {
    type Item = std::io::Result<Event>;

    /// The next event; nothing once the connection has ended.
    fn next(&mut self) -> Option<Self::Item> {
        let mut event = Event::default();
        loop {
            let mut line = String::new();
            match (&mut self.lines).take(LINE_BYTES_MAX).read_line(&mut line) {
                Ok(_) if line.ends_with('\n') => {}
                // An event that is cut off is none.
                Ok(_) => return None,
                Err(error) => return Some(Err(error)),
            }
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                if event.data.is_empty() {
                    event = Event::default();
                    continue;
                }
                return Some(Ok(event));
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => event.id = Some(value.to_owned()),
                "event" => value.clone_into(&mut event.kind),
                "data" => {
                    if !event.data.is_empty() {
                        event.data.push('\n');
                    }
                    event.data.push_str(value);
                }
                // A comment, or what a later server may say.
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &'static str) -> Vec<Event> {
        Events { lines: BufReader::new(Box::new(text.as_bytes())) }.map(Result::unwrap).collect()
    }

    #[test]
    fn events_are_read_as_the_standard_has_them() {
        let event = |id: Option<&str>, kind: &str, data: &str| Event {
            id: id.map(str::to_owned),
            kind: kind.to_owned(),
            data: data.to_owned(),
        };
        let text = "retry: 1000\n\n: alive\n\nid: 1-2\nevent: ready\ndata: {}\n\ndata:a\r\ndata: b\r\n\r\n";
        assert_eq!(events(text), [event(Some("1-2"), "ready", "{}"), event(None, "", "a\nb")]);
    }

    #[test]
    fn an_event_that_is_cut_off_is_none() {
        assert_eq!(events("id: 1\ndata: {}\n"), []);
        assert_eq!(events("id: 1\ndata: {}"), []);
    }
}
