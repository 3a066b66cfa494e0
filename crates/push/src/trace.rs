//! The W3C trace context of a request: that of its message, one step further.

/// The name of the header, and of the attribute that a producer hands its trace over in.
pub const TRACEPARENT: &str = "traceparent";
/// The name of what vendors add to it.
pub const TRACESTATE: &str = "tracestate";

/// The `traceparent` of a request whose message carries `parent`, if it carries one that can be read. `seed` is random:
/// it names the request and, without a parent, the trace. A new trace is not marked as sampled, since nobody records it yet.
pub fn traceparent(parent: Option<&str>, seed: u128) -> String {
    let span = (seed as u64).max(1);
    if let Some((trace, flags)) = parent.and_then(read) {
        return format!("00-{trace}-{span:016x}-{flags}");
    }
    // The seed names request and trace, which must differ in all their digits.
    let trace = seed.rotate_left(64).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).max(1);
    format!("00-{trace:032x}-{span:016x}-00")
}

/// Trace and flags of a header that is of a known form.
fn read(parent: &str) -> Option<(&str, &str)> {
    let mut parts = parent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let is_zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    let is_known = is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    let is_whole = is_hex(trace, 32) && !is_zero(trace) && is_hex(span, 16) && !is_zero(span) && is_hex(flags, 2);
    (is_known && is_whole).then_some((trace, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_of_a_message_goes_on() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0b1902b7-01";
        assert_eq!(traceparent(Some(parent), 7), "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000007-01");
    }

    #[test]
    fn a_message_without_one_begins_a_trace() {
        for parent in
            [None, Some(""), Some("00-0-0-0"), Some("00-00000000000000000000000000000000-00f067aa0b1902b7-01")]
        {
            let begun = traceparent(parent, 7);
            assert!(read(&begun).is_some(), "{begun}");
            assert!(begun.ends_with("-0000000000000007-00"));
        }
        assert!(read(&traceparent(None, 0)).is_some());
    }
}
