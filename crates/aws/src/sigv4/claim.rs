//! What a request says of its own signature, before any of it is believed.

use std::borrow::Cow;

use super::canonical::{SIGNATURE, parameter};
use super::key::Scope;
use super::request::Request;
use super::time::Stamp;
use crate::fault::{Code, Fault};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Most headers that a signature may cover: ours.
const SIGNED_MAX: usize = 128;

/// Where a signature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In the header `Authorization`.
    Header,
    /// In the query of the URL.
    Presigned {
        /// How long it is valid.
        expires_s: Option<u64>,
    },
}

/// What a request says of its signature.
#[derive(Clone, Debug)]
pub(super) struct Claim<'a> {
    pub(super) form: Form,
    pub(super) scope: Scope,
    /// When it was signed.
    pub(super) signed_at: Stamp,
    /// The same as the text that was signed.
    pub(super) stamp: String,
    /// Names of the headers that the signature covers, separated by `;`.
    pub(super) signed_headers: Cow<'a, str>,
    /// Hexadecimal digits.
    pub(super) signature: Cow<'a, str>,
}

impl<'a> Claim<'a> {
    /// Finds the signature of `request`.
    ///
    /// # Errors
    /// `MissingAuthenticationToken` where there is none, `IncompleteSignature` where a part is not there or unreadable.
    pub(super) fn of(request: &Request<'a>) -> Result<Self, Fault> {
        let presigned = ["X-Amz-Algorithm", SIGNATURE, "X-Amz-Credential"];
        let presigned = presigned.into_iter().any(|name| parameter(request.query, name).is_some());
        match (request.header("authorization"), presigned) {
            (Some(_), true) => Err(incomplete(
                "The request has two signatures: in the header Authorization and in the query of its URL.",
            )),
            (Some(authorization), false) => Self::of_header(request, authorization),
            (None, true) => Self::of_query(request),
            (None, false) if parameter(request.query, "AWSAccessKeyId").is_some() => {
                Err(incomplete("Signature Version 2 is not supported: sign with Version 4 (AWS4-HMAC-SHA256)."))
            }
            (None, false) => {
                Err(Fault::new(Code::MissingAuthenticationToken, "Request is missing Authentication Token"))
            }
        }
    }

    fn of_header(request: &Request<'a>, authorization: &'a str) -> Result<Self, Fault> {
        let (algorithm, rest) = authorization.split_once(' ').unwrap_or((authorization, ""));
        check_algorithm(algorithm)?;
        let part = |name: &str| {
            let mut parts = rest.split(',').filter_map(|part| part.trim().split_once('='));
            parts.find(|(known, _)| *known == name).map(|(_, value)| value).filter(|value| !value.is_empty())
        };
        let date = request.header("x-amz-date").or_else(|| request.header("date"));
        let (Some(credential), Some(signed_headers), Some(signature), Some(date)) =
            (part("Credential"), part("SignedHeaders"), part("Signature"), date)
        else {
            let absent = ["Credential", "Signature", "SignedHeaders"].into_iter().filter(|name| part(name).is_none());
            let mut sentences: Vec<String> =
                absent.map(|name| format!("Authorization header requires '{name}' parameter.")).collect();
            if date.is_none() {
                let either = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.";
                sentences.push(either.to_owned());
            }
            return Err(incomplete(sentences.join(" ")));
        };
        let signed_at = Stamp::parse_date_header(date).ok_or_else(|| not_a_date(date))?;
        Self::new(Form::Header, credential, signed_at, signed_headers.into(), signature.into())
    }

    fn of_query(request: &Request<'a>) -> Result<Self, Fault> {
        let part = |name: &str| {
            parameter(request.query, name).filter(|value| !value.is_empty()).ok_or_else(|| {
                incomplete(format!(
                    "AWS query-string parameters must include '{name}'. Re-examine the query-string parameters."
                ))
            })
        };
        check_algorithm(&part("X-Amz-Algorithm")?)?;
        let credential = part("X-Amz-Credential")?;
        let signed_headers = part("X-Amz-SignedHeaders")?;
        let signature = part(SIGNATURE)?;
        let date = part("X-Amz-Date")?;
        let signed_at = Stamp::parse(&date).ok_or_else(|| not_a_date(&date))?;
        let expires_s = match parameter(request.query, "X-Amz-Expires") {
            None => None,
            Some(text) => {
                let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let expires_s =
                    digits.then(|| text.parse().ok()).flatten().filter(|&s: &u64| s <= super::EXPIRES_S_MAX);
                Some(expires_s.ok_or_else(|| {
                    let found = quote(&text);
                    incomplete(format!(
                        "X-Amz-Expires must be a number of seconds up to {} (a week), found '{found}'.",
                        super::EXPIRES_S_MAX
                    ))
                })?)
            }
        };
        Self::new(Form::Presigned { expires_s }, &credential, signed_at, signed_headers, signature)
    }

    fn new(
        form: Form,
        credential: &str,
        signed_at: Stamp,
        signed_headers: Cow<'a, str>,
        signature: Cow<'a, str>,
    ) -> Result<Self, Fault> {
        // The access key may hold slashes itself.
        let mut parts = credential.rsplitn(5, '/');
        let (terminator, service, region, date, access_key_id) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(terminator), Some(service), Some(region), Some(date), Some(access_key_id)) =
            (terminator, service, region, date, access_key_id)
        else {
            return Err(incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'",
                quote(credential)
            )));
        };
        if terminator != "aws4_request" {
            let found = quote(terminator);
            return Err(mismatch(format!(
                "Credential should be scoped with a valid terminator: 'aws4_request', not '{found}'."
            )));
        }
        let stamp = signed_at.text();
        if !stamp.starts_with(date) || date.len() != 8 {
            let found = quote(date);
            return Err(mismatch(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{found}' != '{}', from '{stamp}'.",
                stamp.get(..8).unwrap_or_default()
            )));
        }
        if signed_headers.split(';').count() > SIGNED_MAX {
            return Err(incomplete(format!("The signature covers more than {SIGNED_MAX} headers.")));
        }
        let scope = Scope {
            access_key_id: access_key_id.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        };
        Ok(Self { form, scope, signed_at, stamp, signed_headers, signature })
    }
}

fn check_algorithm(algorithm: &str) -> Result<(), Fault> {
    if algorithm == ALGORITHM {
        return Ok(());
    }
    Err(incomplete(format!("Unsupported AWS 'algorithm': '{}', only {ALGORITHM} is supported.", quote(algorithm))))
}

fn not_a_date(text: &str) -> Fault {
    incomplete(format!("Date must be in ISO-8601 'basic format'. Got '{}'.", quote(text)))
}

fn quote(text: &str) -> &str {
    crate::text::quote(text, 256)
}

pub(super) fn incomplete(message: impl Into<Cow<'static, str>>) -> Fault {
    Fault::new(Code::IncompleteSignature, message)
}

pub(super) fn mismatch(message: impl Into<Cow<'static, str>>) -> Fault {
    Fault::new(Code::SignatureDoesNotMatch, message)
}
