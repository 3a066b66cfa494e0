//! Verifying a signature.

use hmac::Mac;
use sha2::{Digest, Sha256};

use super::canonical;
use super::claim::{Claim, Form, mismatch};
use super::key::{Cache, derive};
use super::request::Request;
use super::time::Stamp;
use crate::fault::{Code, Fault};

/// How far the clocks of client and server may be apart, in seconds. AWS: 15 minutes.
pub const SKEW_S_MAX: u64 = 15 * 60;
/// How long a presigned URL may be valid, in seconds. AWS: 7 days.
pub const EXPIRES_S_MAX: u64 = 7 * 86_400;
/// How much of the canonical form a refusal shows, in bytes: ours.
const SHOWN_MAX: usize = 4_096;

/// Stands for the body in a presigned URL that leaves the body open.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Whose request it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The access key by whose secret it is signed.
    pub access_key_id: String,
    /// The region that it is signed for.
    pub region: String,
    /// The service that it is signed for.
    pub service: String,
    /// Whether it came by a presigned URL.
    pub presigned: bool,
    /// When it was signed, in seconds since the epoch.
    pub signed_at_s: u64,
}

/// Verifies signatures, and remembers signing keys.
#[derive(Debug, Default)]
pub struct Verifier {
    keys: Cache,
}

impl Verifier {
    /// One that remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whose request `request` is. It must be signed for one of `services`, any region will do. `secret` looks up the
    /// secret of an access key; `now_s` is the time in seconds since the epoch. A session token is no part of what is
    /// decided: it is covered by the signature as far as the client signed it.
    ///
    /// # Errors
    /// `MissingAuthenticationToken`, `IncompleteSignature`, `InvalidClientTokenId` for an access key without secret,
    /// `SignatureDoesNotMatch` also for what was signed too long ago, is not valid yet or has expired.
    pub fn verify<'s>(
        &self,
        request: &Request<'_>,
        services: &[&str],
        secret: impl FnOnce(&str) -> Option<&'s str>,
        now_s: u64,
    ) -> Result<Verified, Fault> {
        let claim = Claim::of(request)?;
        if !services.contains(&claim.scope.service.as_str()) {
            let wanted = services.join("' or '");
            return Err(mismatch(format!("Credential should be scoped to correct service: '{wanted}'. ")));
        }
        check_time(&claim, Stamp(now_s))?;
        let signed = signed_headers(request, &claim)?;
        let secret = secret(&claim.scope.access_key_id).ok_or_else(|| {
            Fault::new(Code::InvalidClientTokenId, "The security token included in the request is invalid.")
        })?;
        // The body is hashed for those only who may be who they say.
        let payload = payload(request, claim.form)?;
        let canonical = canonical::request(request, &signed, &payload);
        let text = string_to_sign(&claim, &canonical);
        let remembered = self.keys.get(&claim.scope, secret);
        let known = remembered.is_some();
        let key = remembered.unwrap_or_else(|| derive(&claim.scope, secret));
        let signature = unhex(&claim.signature).ok_or_else(|| does_not_match(&canonical, &text))?;
        // Takes as long for a signature that is wrong in its first byte as for one that is wrong in its last.
        let signed_by_it = key.clone().chain_update(&text).verify_slice(&signature);
        signed_by_it.map_err(|_| does_not_match(&canonical, &text))?;
        let verified = Verified {
            access_key_id: claim.scope.access_key_id.clone(),
            region: claim.scope.region.clone(),
            service: claim.scope.service.clone(),
            presigned: claim.form != Form::Header,
            signed_at_s: claim.signed_at.0,
        };
        if !known {
            self.keys.put(claim.scope, secret, key);
        }
        Ok(verified)
    }
}

fn check_time(claim: &Claim<'_>, now: Stamp) -> Result<(), Fault> {
    let signed_at = claim.signed_at;
    let latest = now.plus(SKEW_S_MAX);
    if signed_at > latest {
        return Err(mismatch(format!(
            "Signature not yet current: {} is still later than {} ({} + 15 min.)",
            signed_at.text(),
            latest.text(),
            now.text()
        )));
    }
    let expired = match claim.form {
        Form::Presigned { expires_s: Some(expires_s) } => {
            let until = signed_at.plus(expires_s);
            (until < now).then(|| format!("it was valid until {}, and it is {}", until.text(), now.text()))
        }
        Form::Header | Form::Presigned { expires_s: None } => {
            let earliest = now.minus(SKEW_S_MAX);
            (signed_at < earliest).then(|| {
                let (from, now) = (earliest.text(), now.text());
                format!("{} is now earlier than {from} ({now} - 15 min.)", signed_at.text())
            })
        }
    };
    expired.map_or(Ok(()), |why| Err(mismatch(format!("Signature expired: {why}"))))
}

/// The names of the headers that the signature covers; among them must be those that say what the request is.
fn signed_headers<'c>(request: &Request<'_>, claim: &'c Claim<'_>) -> Result<Vec<&'c str>, Fault> {
    let signed: Vec<&str> = claim.signed_headers.split(';').collect();
    let covers = |name: &str| signed.iter().any(|known| known.eq_ignore_ascii_case(name));
    if !covers("host") {
        return Err(mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."));
    }
    for name in ["x-amz-target", "x-amz-date"] {
        if request.headers(name).next().is_some() && !covers(name) {
            return Err(mismatch(format!("The header {name} must be a 'SignedHeader' in the AWS Authorization.")));
        }
    }
    for name in &signed {
        if request.headers(name).next().is_none() {
            let name = crate::text::quote(name, 256);
            return Err(mismatch(format!(
                "The signature covers the header '{name}', which the request does not have."
            )));
        }
    }
    for name in ["host", "x-amz-target", "x-amz-date", "x-amz-content-sha256", "authorization"] {
        // Which of two would be signed and which obeyed depends on who reads.
        if request.headers(name).nth(1).is_some() {
            return Err(mismatch(format!("The header {name} comes twice.")));
        }
    }
    Ok(signed)
}

/// What stands for the body in the canonical form: its hash, once it was found to be that of the body.
fn payload(request: &Request<'_>, form: Form) -> Result<String, Fault> {
    let header = request.header("x-amz-content-sha256");
    let claimed = match form {
        Form::Header => header.map(str::to_owned),
        Form::Presigned { .. } => header
            .map(str::to_owned)
            .or_else(|| canonical::parameter(request.query, "X-Amz-Content-Sha256").map(String::from)),
    };
    match claimed.as_deref() {
        Some(UNSIGNED) if form != Form::Header => return Ok(UNSIGNED.to_owned()),
        Some(UNSIGNED) => {
            return Err(mismatch(format!(
                "{UNSIGNED} is for presigned URLs: the body of this request must be signed."
            )));
        }
        Some(streaming) if streaming.starts_with("STREAMING-") => {
            let name = crate::text::quote(streaming, 64);
            return Err(Fault::unsupported(format!("Bodies that are signed in chunks ({name}) are not supported.")));
        }
        _ => {}
    }
    let digest = hex(&request.payload.sha256());
    match claimed {
        Some(claimed) if !claimed.eq_ignore_ascii_case(&digest) => Err(mismatch(
            "The provided x-amz-content-sha256 does not match what was computed: the body is another one.",
        )),
        _ => Ok(digest),
    }
}

fn string_to_sign(claim: &Claim<'_>, canonical: &[u8]) -> String {
    let scope = &claim.scope;
    let digest = hex(&Sha256::digest(canonical));
    let parts = ["AWS4-HMAC-SHA256\n", &claim.stamp, "\n", &scope.date, "/", &scope.region, "/", &scope.service];
    [parts.as_slice(), &["/aws4_request\n", &digest]].concat().concat()
}

fn does_not_match(canonical: &[u8], text: &str) -> Fault {
    let shown = String::from_utf8_lossy(canonical.get(..SHOWN_MAX).unwrap_or(canonical)).into_owned();
    mismatch(format!(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.\n\nThe Canonical String for this request should have been\n'{shown}'\n\nThe String-to-Sign should have been\n'{text}'\n"
    ))
}

fn hex(bytes: &[u8]) -> String {
    let mut digits = vec![0; 2 * bytes.len()];
    crate::sqs::hex(bytes, &mut digits);
    String::from_utf8(digits).expect("hexadecimal digits are ASCII")
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = digits else { return None };
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (digit(*high)? << 4 | digit(*low)?) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
