//! Message groups and deduplication ids as the engine knows them: hashes of 128 bits.

use sha2::{Digest, Sha256};
use weir_core::api::Lane;

use super::digest::hex;

// What is hashed says what it is, so that no id can pass for a content or a group.
const GROUP: &[u8] = b"weir group\0";
const ID: &[u8] = b"weir deduplication id\0";
const CONTENT: &[u8] = b"weir content\0";
const ATTEMPT: &[u8] = b"weir receive attempt\0";
const CUSTOM: &[u8] = b"weir custom id\0";
const KEY: &[u8] = b"weir limiter key\0";
const IDEMPOTENCY: &[u8] = b"weir idempotency key\0";

/// By what a message on a FIFO queue is told from its duplicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deduplication<'a> {
    /// By an id of its own.
    Id(&'a str),
    /// By its body.
    Content,
}

/// The lane of a message group.
pub fn lane(group_id: &str) -> Lane {
    Lane(hash(GROUP, group_id.as_bytes()))
}

/// The hash of a deduplication id.
pub fn id_hash(id: &str) -> [u8; 16] {
    hash(ID, id.as_bytes())
}

/// The hash of a body.
pub fn content_hash(body: &[u8]) -> [u8; 16] {
    hash(CONTENT, body)
}

/// The hash of a `ReceiveRequestAttemptId`.
pub fn attempt_hash(id: &str) -> [u8; 16] {
    hash(ATTEMPT, id.as_bytes())
}

/// The hash of an id that the sender of a job chose.
pub fn custom_id_hash(id: &str) -> [u8; 16] {
    hash(CUSTOM, id.as_bytes())
}

/// The hash of a limiter's key.
pub fn limit_key_hash(key: &str) -> [u8; 16] {
    hash(KEY, key.as_bytes())
}

/// The hash of a request's idempotency key.
pub fn idempotency_hash(key: &str) -> [u8; 16] {
    hash(IDEMPOTENCY, key.as_bytes())
}

/// The deduplication id that AWS gives a message which has none of its own: the SHA-256 of its body.
pub(super) fn content_id(body: &[u8]) -> String {
    let mut digits = vec![0; 64];
    hex(&Sha256::digest(body), &mut digits);
    String::from_utf8(digits).expect("hexadecimal digits are ASCII")
}

fn hash(domain: &[u8], bytes: &[u8]) -> [u8; 16] {
    let digest = Sha256::new_with_prefix(domain).chain_update(bytes).finalize();
    let mut first = [0; 16];
    for (to, from) in first.iter_mut().zip(digest) {
        *to = from;
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_fixed_for_ever() {
        // These bytes are stored: a change would let duplicates pass and split groups.
        let hex = |bytes: [u8; 16]| {
            let mut digits = [0; 32];
            super::hex(&bytes, &mut digits);
            String::from_utf8(digits.to_vec()).unwrap()
        };
        assert_eq!(hex(lane("a").0), "d723d91acd95871be1226db86c39d651");
        assert_eq!(hex(id_hash("a")), "17d117c48f52b5433f636c2c6408abf1");
        assert_eq!(hex(content_hash(b"a")), "f15f9057e7dde15c3553ed986411e3aa");
        assert_eq!(hex(attempt_hash("a")), "080e87004969185285056b8b46a36f4c");
    }

    #[test]
    fn the_content_id_is_the_sha_256_of_the_body() {
        assert_eq!(content_id(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
