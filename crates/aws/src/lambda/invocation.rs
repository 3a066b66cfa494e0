//! What the headers of an invocation say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Fault;

/// How a function is invoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Its result is waited for.
    #[default]
    RequestResponse,
    /// Nothing is waited for.
    Event,
    /// It is only found out whether it could be.
    DryRun,
}

/// What the headers of an invocation say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invocation<'a> {
    /// How it is invoked.
    pub kind: Kind,
    /// Whether the end of its log is wanted.
    pub log_tail: bool,
    /// What the client says of itself: base64 of JSON.
    pub client_context: Option<&'a str>,
}

/// Longest client context, as base64.
const CLIENT_CONTEXT_BYTES_MAX: usize = 3_583;
/// How much of the end of a log an answer carries.
pub const LOG_TAIL_BYTES: usize = 4_096;

impl<'a> Invocation<'a> {
    /// Reads the headers, given by `header`.
    ///
    /// # Errors
    /// `InvalidParameterValueException` names a header that makes no sense.
    pub fn read(header: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Fault> {
        let kind = match header("x-amz-invocation-type") {
            None | Some("RequestResponse") => Kind::RequestResponse,
            Some("Event") => Kind::Event,
            Some("DryRun") => Kind::DryRun,
            Some(other) => {
                let text = "X-Amz-Invocation-Type: must be RequestResponse, Event or DryRun";
                return Err(Fault::invalid(format!("{text}, found {other:.64}")));
            }
        };
        let log_tail = match header("x-amz-log-type") {
            None | Some("None") => false,
            Some("Tail") => true,
            Some(other) => {
                return Err(Fault::invalid(format!("X-Amz-Log-Type: must be None or Tail, found {other:.64}")));
            }
        };
        let client_context = header("x-amz-client-context");
        if let Some(context) = client_context {
            check_context(context)?;
        }
        Ok(Self { kind, log_tail, client_context })
    }
}

fn check_context(context: &str) -> Result<(), Fault> {
    if context.len() > CLIENT_CONTEXT_BYTES_MAX {
        return Err(Fault::invalid(format!(
            "X-Amz-Client-Context: must have at most {CLIENT_CONTEXT_BYTES_MAX} bytes, found {}",
            context.len()
        )));
    }
    let json = STANDARD
        .decode(context)
        .ok()
        .filter(|json| serde_json::from_slice::<&serde_json::value::RawValue>(json).is_ok());
    if json.is_none() {
        return Err(Fault::content("X-Amz-Client-Context: must be base64 of JSON".to_owned()));
    }
    Ok(())
}

/// The end of a log, as the header of an answer has it.
pub fn log_tail<'l>(lines: impl DoubleEndedIterator<Item = &'l [u8]>) -> String {
    let mut parts = Vec::new();
    let mut bytes = 0;
    for line in lines.rev() {
        parts.push(line);
        bytes += line.len() + 1;
        if bytes >= LOG_TAIL_BYTES {
            break;
        }
    }
    let mut log = Vec::with_capacity(bytes);
    for line in parts.into_iter().rev() {
        log.extend_from_slice(line);
        log.push(b'\n');
    }
    STANDARD.encode(log.get(log.len().saturating_sub(LOG_TAIL_BYTES)..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &'static [(&'static str, &'static str)]) -> Result<Invocation<'static>, Fault> {
        Invocation::read(|name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
    }

    #[test]
    fn headers_say_how_a_function_is_invoked() {
        assert_eq!(read(&[]), Ok(Invocation::default()));
        let all =
            read(&[("x-amz-invocation-type", "Event"), ("x-amz-log-type", "Tail"), ("x-amz-client-context", "e30=")]);
        assert_eq!(all, Ok(Invocation { kind: Kind::Event, log_tail: true, client_context: Some("e30=") }));
        let fault = read(&[("x-amz-invocation-type", "Later")]).unwrap_err();
        assert!(fault.message.ends_with("found Later"), "{fault}");
        assert_eq!(read(&[("x-amz-log-type", "All")]).unwrap_err().code, "InvalidParameterValueException");
        assert_eq!(read(&[("x-amz-client-context", "e30")]).unwrap_err().code, "InvalidRequestContentException");
    }

    #[test]
    fn of_a_log_the_end_is_told() {
        let told = |lines: &[&[u8]]| STANDARD.decode(log_tail(lines.iter().copied())).unwrap();
        assert_eq!(told(&[b"a", b"b"]), b"a\nb\n");
        let long = vec![b'x'; 5_000];
        let tail = told(&[&long, b"end"]);
        assert!(tail.len() == LOG_TAIL_BYTES && tail.ends_with(b"x\nend\n"));
        assert!(told(&[]).is_empty());
    }
}
