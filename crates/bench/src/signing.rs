//! Requests with a signature (AWS Signature Version 4), and without.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::wire;

/// The access key that signed requests are signed with.
const KEY_ID: &str = "BENCH";
/// Its secret: the server that it opens is our own, and gone when the workload ends.
const SECRET: &str = "a secret of the load tool alone";

/// The configuration of a server that takes what is signed here, and nothing else.
pub(crate) fn configured_key() -> String {
    format!("[[keys]]\nid = {KEY_ID:?}\nsecret = {SECRET:?}\nrole = \"admin\"\n")
}

/// Whether requests are signed.
#[derive(Clone)]
pub(crate) enum Signing {
    /// No.
    Plain,
    /// They are sent plain, and signed for nothing: so a client costs as much as the one that it is compared with.
    Discarded(Signer),
    /// Yes.
    Signed(Signer),
}

impl Signing {
    /// A request for `operation` with its headers.
    pub(crate) fn request(&self, operation: &str, body: &str) -> Vec<u8> {
        match self {
            Signing::Plain => wire::request(operation, body),
            Signing::Discarded(signer) => {
                std::hint::black_box(signer.request(operation, body));
                wire::request(operation, body)
            }
            Signing::Signed(signer) => signer.request(operation, body),
        }
    }
}

/// Signs requests, all for one moment: the key of the day is derived once.
#[derive(Clone)]
pub(crate) struct Signer {
    key: Hmac<Sha256>,
    /// As `20150830T123600Z`.
    moment: String,
    /// As `20150830/us-east-1/sqs/aws4_request`.
    scope: String,
}

impl Signer {
    /// A signer of requests that are sent within the next minutes.
    pub(crate) fn of_now() -> anyhow::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
        Ok(Self::at(now.as_secs()))
    }

    fn at(seconds: u64) -> Self {
        let moment = moment(seconds);
        let day = moment.get(..8).unwrap_or_default();
        let scope = format!("{day}/us-east-1/sqs/aws4_request");
        let secret = keyed(format!("AWS4{SECRET}").as_bytes());
        let key = scope.split('/').fold(secret, |key, part| keyed(&mac(&key, part.as_bytes())));
        Self { key, moment, scope }
    }

    fn request(&self, operation: &str, body: &str) -> Vec<u8> {
        let Self { moment, scope, .. } = self;
        let canonical = format!(
            "POST\n/\n\ncontent-type:{}\nhost:{}\nx-amz-date:{moment}\nx-amz-target:AmazonSQS.{operation}\n\n{NAMES}\n{}",
            wire::CONTENT_TYPE,
            wire::HOST,
            hex(&Sha256::digest(body))
        );
        let text = format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
        let signature = hex(&mac(&self.key, text.as_bytes()));
        let headers = format!(
            "X-Amz-Date: {moment}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, \
             SignedHeaders={NAMES}, Signature={signature}\r\n"
        );
        wire::request_with(operation, &headers, body)
    }
}

/// The headers that are signed: those that SDKs sign.
const NAMES: &str = "content-type;host;x-amz-date;x-amz-target";

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("a key may have any length")
}

fn mac(key: &Hmac<Sha256>, bytes: &[u8]) -> [u8; 32] {
    key.clone().chain_update(bytes).finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A time in seconds since the epoch, as `20150830T123600Z`.
fn moment(seconds: u64) -> String {
    let mut days = seconds / 86_400;
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{:02}T{hour:02}{minute:02}{second:02}Z", days + 1)
}

#[cfg(test)]
mod tests {
    use weir_aws::sigv4::{Payload, Request, Verifier};

    use super::*;

    #[test]
    fn a_moment_is_written_by_the_calendar() {
        assert_eq!(moment(0), "19700101T000000Z");
        assert_eq!(moment(951_782_400), "20000229T000000Z");
        assert_eq!(moment(1_440_938_160), "20150830T123600Z");
        assert_eq!(moment(1_735_689_599), "20241231T235959Z");
    }

    #[test]
    fn what_is_signed_is_what_the_server_takes() {
        let sent = Signing::Signed(Signer::at(1_440_938_160)).request("SendMessage", "{}");
        let text = String::from_utf8(sent).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let headers: Vec<(&str, &[u8])> =
            head.lines().skip(1).map(|line| line.split_once(": ").unwrap()).map(|(n, v)| (n, v.as_bytes())).collect();
        let request = Request {
            method: "POST",
            path: "/",
            query: "",
            headers: &headers,
            payload: Payload::Bytes(body.as_bytes()),
        };
        let secret = |id: &str| (id == KEY_ID).then_some(SECRET);
        assert!(Verifier::new().verify(&request, &["sqs"], secret, 1_440_938_160).is_ok());
        let other = Request { payload: Payload::Bytes(b"{ }"), ..request };
        assert!(Verifier::new().verify(&other, &["sqs"], secret, 1_440_938_160).is_err());
    }

    #[test]
    fn what_is_signed_for_nothing_is_sent_plain() {
        let sent = Signing::Discarded(Signer::at(0)).request("SendMessage", "{}");
        assert_eq!(sent, Signing::Plain.request("SendMessage", "{}"));
    }
}
