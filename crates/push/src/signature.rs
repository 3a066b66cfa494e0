//! Signatures after the Standard Webhooks specification, version `v1`: HMAC-SHA-256 over id, time and body.
//!
//! Several secrets sign at once, so that a receiver can change from an old one to a new one without a gap.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What a secret's text starts with; a text without it is taken for the base64 alone.
const PREFIX: &str = "whsec_";
/// Shortest and longest secret in bytes, as the specification has them.
pub const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that signs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Reads `whsec_` and base64. The error says what is wrong, and never the secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text));
        let bytes = bytes.map_err(|_| "must be `whsec_` and base64".to_owned())?;
        if !SECRET_BYTES.contains(&bytes.len()) {
            let (least, most) = (SECRET_BYTES.start(), SECRET_BYTES.end());
            return Err(format!("must stand for {least} to {most} bytes, found {}", bytes.len()));
        }
        Ok(Self(bytes))
    }

    fn sign(&self, id: &str, timestamp_s: u64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(id.as_bytes());
        mac.update(format!(".{timestamp_s}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The value of `webhook-signature`: one signature for each secret.
pub fn signatures(secrets: &[Secret], id: &str, timestamp_s: u64, body: &[u8]) -> String {
    let signed: Vec<String> = secrets.iter().map(|secret| secret.sign(id, timestamp_s, body)).collect();
    signed.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn a_known_message_has_its_known_signature() {
        let secret = Secret::parse(SECRET).unwrap();
        assert_eq!(signatures(&[secret], ID, 1_614_265_330, BODY), SIGNED);
        let bare = Secret::parse(&SECRET[PREFIX.len()..]).unwrap();
        assert_eq!(signatures(&[bare], ID, 1_614_265_330, BODY), SIGNED);
    }

    #[test]
    fn while_keys_rotate_each_signs() {
        let new = Secret::parse("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
        let both = signatures(&[new, Secret::parse(SECRET).unwrap()], ID, 1_614_265_330, BODY);
        let parts: Vec<&str> = both.split(' ').collect();
        assert_eq!(parts.len(), 2);
        assert!(parts[0].starts_with("v1,") && parts[0] != SIGNED);
        assert_eq!(parts[1], SIGNED);
    }

    #[test]
    fn bad_secrets_are_refused_without_being_told() {
        assert!(Secret::parse("whsec_???").unwrap_err().starts_with("must be `whsec_`"));
        assert_eq!(Secret::parse("whsec_AAAA").unwrap_err(), "must stand for 24 to 64 bytes, found 3");
        let text = format!("{:?}", Secret::parse(SECRET).unwrap());
        assert_eq!(text, "Secret");
    }
}
