//! Signing keys: derived from a secret for a day, a region and a service.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A signing key, ready to sign.
pub(super) type Key = Hmac<Sha256>;

/// Most keys that are remembered. Regions and days are the caller's words, but only those of valid signatures get here.
const KEYS_MAX: usize = 1_024;

/// Where and when a key is valid.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    pub(super) access_key_id: String,
    pub(super) date: String,
    pub(super) region: String,
    pub(super) service: String,
}

/// Keys that were derived before: four of the five computations that a signature takes.
#[derive(Debug, Default)]
pub(super) struct Cache {
    keys: Mutex<HashMap<Scope, (String, Key)>>,
}

impl Cache {
    /// The key of `scope` derived from `secret`, if it is remembered.
    pub(super) fn get(&self, scope: &Scope, secret: &str) -> Option<Key> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        // Both secrets are the server's own: how long it takes to compare them tells a caller nothing of theirs.
        keys.get(scope).filter(|(of, _)| of == secret).map(|(_, key)| key.clone())
    }

    /// Remembers a key by which a signature was found valid.
    pub(super) fn put(&self, scope: Scope, secret: &str, key: Key) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS_MAX {
            // Days end: what is still in use is derived again.
            keys.clear();
        }
        keys.insert(scope, (secret.to_owned(), key));
    }
}

/// Derives the key of `scope`.
pub(super) fn derive(scope: &Scope, secret: &str) -> Key {
    let mut bytes = sign(keyed(format!("AWS4{secret}").as_bytes()), scope.date.as_bytes());
    for part in [&scope.region, &scope.service, "aws4_request"] {
        bytes = sign(keyed(&bytes), part.as_bytes());
    }
    keyed(&bytes)
}

fn keyed(bytes: &[u8]) -> Key {
    Key::new_from_slice(bytes).expect("a key may have any length")
}

fn sign(key: Key, bytes: &[u8]) -> [u8; 32] {
    key.chain_update(bytes).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(date: &str) -> Scope {
        Scope {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            date: date.to_owned(),
            region: "us-east-1".to_owned(),
            service: "iam".to_owned(),
        }
    }

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    #[test]
    fn the_key_is_that_of_aws_s_documentation() {
        // The key that AWS's documentation derives has this signature of its example's string to sign.
        let text = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\nf536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
        let signature = sign(derive(&scope("20150830"), SECRET), text.as_bytes());
        let hex = signature.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        assert_eq!(hex, "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
    }

    #[test]
    fn a_key_is_remembered_for_its_secret_only() {
        let cache = Cache::default();
        assert!(cache.get(&scope("20150830"), SECRET).is_none());
        cache.put(scope("20150830"), SECRET, derive(&scope("20150830"), SECRET));
        assert!(cache.get(&scope("20150830"), SECRET).is_some());
        assert!(cache.get(&scope("20150830"), "rotated").is_none());
        assert!(cache.get(&scope("20150831"), SECRET).is_none());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let cache = Cache::default();
        for n in 0..3_000 {
            cache.put(scope(&n.to_string()), SECRET, keyed(b"k"));
        }
        assert!(cache.keys.lock().unwrap().len() <= KEYS_MAX);
        assert!(cache.get(&scope("2999"), SECRET).is_some());
    }
}
