//! Receipt handles: the wire form of a lease.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use weir_core::api::{Handle, QueueId};

use super::text;
use crate::fault::{Code, Fault};

const VERSION: u8 = 1;
const BYTES: usize = 1 + 8 + 8 + 8 + 4 + 8;
/// Length of a receipt handle in characters.
pub const LEN: usize = (BYTES * 4).div_ceil(3);

/// Writes a handle of `queue`.
pub fn encode(queue: QueueId, handle: &Handle) -> String {
    let mut text = Vec::with_capacity(LEN);
    push(&mut text, queue, handle);
    String::from_utf8(text).expect("base64 is ASCII")
}

/// Appends what [`encode`] writes.
pub fn push(out: &mut Vec<u8>, queue: QueueId, handle: &Handle) {
    let mut bytes = [0; BYTES];
    let parts: [&[u8]; 6] = [
        &[VERSION],
        &queue.0.to_be_bytes(),
        &handle.space.to_be_bytes(),
        &handle.message.to_be_bytes(),
        &handle.grant.to_be_bytes(),
        &handle.proof.to_be_bytes(),
    ];
    for (to, from) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    let mut text = [0; LEN];
    URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).expect("the text is as long as the bytes need");
    out.extend_from_slice(&text);
}

/// Reads a handle of `queue`.
///
/// # Errors
/// `ReceiptHandleIsInvalid` for what no server of ours wrote for this queue, quoting it.
pub fn decode(queue: QueueId, receipt: &str) -> Result<Handle, Fault> {
    read(queue, receipt).ok_or_else(|| invalid(receipt))
}

/// Reads a handle of `queue`; nothing for what no server of ours wrote for it.
pub fn read(queue: QueueId, receipt: &str) -> Option<Handle> {
    parse(receipt).filter(|(of, _)| *of == queue).map(|(_, handle)| handle)
}

/// The refusal of a receipt handle.
pub fn invalid(receipt: &str) -> Fault {
    let quoted = text::quote(receipt, 1_024);
    Fault::new(
        Code::ReceiptHandleIsInvalid,
        format!("The input receipt handle \"{quoted}\" is not a valid receipt handle."),
    )
}

/// Reads a handle, and of which queue it is.
pub fn parse(receipt: &str) -> Option<(QueueId, Handle)> {
    if receipt.len() != LEN {
        return None;
    }
    let mut bytes = [0; BYTES];
    let read = URL_SAFE_NO_PAD.decode_slice(receipt, &mut bytes).ok()?;
    let (&version, rest) = bytes.split_first()?;
    if read != BYTES || version != VERSION {
        return None;
    }
    let (queue, rest) = rest.split_first_chunk()?;
    let (space, rest) = rest.split_first_chunk()?;
    let (message, rest) = rest.split_first_chunk()?;
    let (grant, rest) = rest.split_first_chunk()?;
    let (proof, _) = rest.split_first_chunk()?;
    let handle = Handle {
        space: u64::from_be_bytes(*space),
        message: u64::from_be_bytes(*message),
        grant: u32::from_be_bytes(*grant),
        proof: u64::from_be_bytes(*proof),
    };
    Some((QueueId(u64::from_be_bytes(*queue)), handle))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_handle_reads_back_as_it_was_written(
            queue: u64, space: u64, message: u64, grant: u32, proof: u64,
        ) {
            let handle = Handle { space, message, grant, proof };
            let receipt = encode(QueueId(queue), &handle);
            prop_assert_eq!(receipt.len(), LEN);
            prop_assert_eq!(decode(QueueId(queue), &receipt), Ok(handle));
            prop_assert!(decode(QueueId(queue ^ 1), &receipt).is_err());
        }

        #[test]
        fn garbage_is_refused_and_quoted(garbage in ".{0,80}") {
            let fault = decode(QueueId(1), &garbage).unwrap_err();
            prop_assert_eq!(fault.code, Code::ReceiptHandleIsInvalid);
            prop_assert!(fault.message.contains(&garbage));
        }
    }
}
