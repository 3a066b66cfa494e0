use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::sigv4::Payload;

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn secret(key: &str) -> Option<&'static str> {
    (key == KEY).then_some(SECRET)
}

#[derive(Clone, Deserialize)]
struct Recorded {
    name: String,
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    /// Each character is a byte.
    body: String,
}

#[derive(Deserialize)]
struct Fixture {
    now_s: u64,
    requests: Vec<Recorded>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../fixtures/sigv4_requests.json")).unwrap()
}

impl Recorded {
    fn named(name: &str) -> Self {
        fixture().requests.into_iter().find(|request| request.name == name).unwrap()
    }

    fn verify_by(&self, verifier: &Verifier, now_s: u64) -> Result<Verified, Fault> {
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let body: Vec<u8> = self.body.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let request = Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &headers,
            payload: Payload::Bytes(&body),
        };
        let outcome = verifier.verify(&request, &["sqs"], secret, now_s);
        let hashed = Request { payload: Payload::Sha256(Sha256::digest(&body).into()), ..request };
        assert_eq!(verifier.verify(&hashed, &["sqs"], secret, now_s), outcome);
        outcome
    }

    fn verify_at(&self, now_s: u64) -> Result<Verified, Fault> {
        self.verify_by(&Verifier::new(), now_s)
    }

    fn verify(&self) -> Result<Verified, Code> {
        self.verify_at(fixture().now_s).map_err(|fault| fault.code)
    }

    fn header(&mut self, name: &str) -> &mut String {
        &mut self.headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)).unwrap().1
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }
}

#[test]
fn what_botocore_signs_is_verified() {
    let fixture = fixture();
    let verifier = Verifier::new();
    for request in &fixture.requests {
        let expected = Verified {
            access_key_id: KEY.to_owned(),
            region: "eu-west-1".to_owned(),
            service: "sqs".to_owned(),
            presigned: request.name.starts_with("presigned"),
            signed_at_s: fixture.now_s,
        };
        // Once with the key derived, and again with the key remembered.
        for by in [&Verifier::new(), &verifier, &verifier] {
            assert_eq!(request.verify_by(by, fixture.now_s), Ok(expected.clone()), "{}", request.name);
        }
    }
    assert!(fixture.requests.iter().any(|request| request.name.starts_with("presigned")));
}

/// Requests of the suite of test vectors that AWS published for Signature Version 4.
#[test]
fn the_vectors_of_aws_are_verified() {
    let time = ("X-Amz-Date", "20150830T123600Z");
    let host = ("Host", "example.amazonaws.com");
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    for (name, method, path, query, headers, signed, body, signature) in [
        (
            "get-vanilla",
            "GET",
            "/",
            "",
            vec![host, time],
            "host;x-amz-date",
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "get-vanilla-query-order-key-case",
            "GET",
            "/",
            "Param2=value2&Param1=value1",
            vec![host, time],
            "host;x-amz-date",
            "",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "get-unreserved",
            "GET",
            "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            "",
            vec![host, time],
            "host;x-amz-date",
            "",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        (
            "get-utf8",
            "GET",
            "/ሴ",
            "",
            vec![host, time],
            "host;x-amz-date",
            "",
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        ),
        (
            "get-header-key-duplicate",
            "GET",
            "/",
            "",
            vec![host, ("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1"), time],
            "host;my-header1;x-amz-date",
            "",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            "get-header-value-trim",
            "GET",
            "/",
            "",
            vec![host, ("My-Header1", " value1"), ("My-Header2", " \"a   b   c\""), time],
            "host;my-header1;my-header2;x-amz-date",
            "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "post-vanilla",
            "POST",
            "/",
            "",
            vec![host, time],
            "host;x-amz-date",
            "",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "post-x-www-form-urlencoded",
            "POST",
            "/",
            "",
            vec![form, host, time],
            "content-type;host;x-amz-date",
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ] {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={signed}, Signature={signature}"
        );
        let mut headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        headers.push(("Authorization", authorization.as_bytes()));
        let request = Request { method, path, query, headers: &headers, payload: Payload::Bytes(body.as_bytes()) };
        let verified = Verifier::new().verify(&request, &["service"], secret, 1_440_938_160);
        assert!(verified.is_ok(), "{name}: {verified:?}");
    }
}

#[test]
fn whatever_is_changed_on_the_way_is_found() {
    let mut changes: Vec<(&str, Recorded)> = Vec::new();
    let mut change = |what, name, change: &dyn Fn(&mut Recorded)| {
        let mut request = Recorded::named(name);
        change(&mut request);
        changes.push((what, request));
    };
    change("method", "JSON", &|request| request.method = "PUT".to_owned());
    change("path", "JSON", &|request| request.path = "/orders".to_owned());
    change("query", "JSON", &|request| request.query = "Action=PurgeQueue".to_owned());
    change("body", "JSON", &|request| request.body.push(' '));
    change("operation", "JSON", &|request| *request.header("x-amz-target") = "AmazonSQS.PurgeQueue".to_owned());
    change("host", "JSON", &|request| *request.header("host") = "example.org".to_owned());
    change("time", "JSON", &|request| *request.header("x-amz-date") = "20261121T074554Z".to_owned());
    change("an added operation", "Query", &|request| {
        request.headers.push(("X-Amz-Target".to_owned(), "AmazonSQS.PurgeQueue".to_owned()));
    });
    change("a second host", "JSON", &|request| request.headers.insert(0, ("Host".to_owned(), "a".to_owned())));
    change("a value", "presigned, GET", &|request| request.query = request.query.replace("=All", "=None"));
    change("an added parameter", "presigned, GET", &|request| request.query += "&AttributeName.2=Policy");
    change("the duration", "presigned, GET", &|request| request.query = request.query.replace("=3600", "=36000"));
    change("the signature", "presigned, GET", &|request| {
        let at = request.query.find("X-Amz-Signature=").unwrap() + 16;
        let digit = if request.query.as_bytes()[at] == b'0' { "1" } else { "0" };
        request.query.replace_range(at..=at, digit);
    });
    change("a short signature", "presigned, GET", &|request| {
        request.query.pop();
    });
    for (what, request) in changes {
        assert_eq!(request.verify(), Err(Code::SignatureDoesNotMatch), "{what}");
    }
}

#[test]
fn a_signature_is_valid_for_fifteen_minutes_before_and_after() {
    let (request, signed_at) = (Recorded::named("JSON"), fixture().now_s);
    assert!(request.verify_at(signed_at + 900).is_ok() && request.verify_at(signed_at - 900).is_ok());
    let late = request.verify_at(signed_at + 901).unwrap_err();
    assert_eq!(late.code, Code::SignatureDoesNotMatch);
    assert_eq!(
        late.message,
        "Signature expired: 20261121T074553Z is now earlier than 20261121T074554Z (20261121T080054Z - 15 min.)"
    );
    let early = request.verify_at(signed_at - 901).unwrap_err();
    assert_eq!(
        early.message,
        "Signature not yet current: 20261121T074553Z is still later than 20261121T074552Z (20261121T073052Z + 15 min.)"
    );
}

#[test]
fn a_presigned_url_is_valid_as_long_as_it_says() {
    let (request, signed_at) = (Recorded::named("presigned, GET"), fixture().now_s);
    assert!(request.verify_at(signed_at + 3_600).is_ok() && request.verify_at(signed_at - 900).is_ok());
    assert!(request.verify_at(signed_at + 3_601).unwrap_err().message.starts_with("Signature expired"));
    assert!(request.verify_at(signed_at - 901).unwrap_err().message.starts_with("Signature not yet current"));
    for expires in ["604801", "-1", "", "1e3", "99999999999999999999"] {
        let mut request = request.clone();
        request.query = request.query.replace("=3600", &format!("={expires}"));
        assert_eq!(request.verify(), Err(Code::IncompleteSignature), "{expires}");
    }
}

#[test]
fn what_lacks_a_part_is_told_which() {
    let code = |request: Recorded| request.verify().unwrap_err();
    let json = || Recorded::named("JSON");
    assert_eq!(code(json().without("authorization")), Code::MissingAuthenticationToken);
    assert_eq!(code(json().without("x-amz-date")), Code::IncompleteSignature);
    for (authorization, word) in [
        ("Basic dXNlcg==", "Basic"),
        ("AWS4-HMAC-SHA256", "Credential"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host", "Signature"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=0", "a/b/c"),
        ("AWS4-ECDSA-P256-SHA256 Credential=a", "ECDSA"),
        ("", "algorithm"),
    ] {
        let mut request = json();
        *request.header("authorization") = authorization.to_owned();
        let fault = request.verify_at(fixture().now_s).unwrap_err();
        assert!(fault.code == Code::IncompleteSignature && fault.message.contains(word), "{authorization}: {fault}");
    }
    for name in ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature"] {
        let mut request = Recorded::named("presigned, GET");
        request.query = request.query.replace(name, "Other");
        let fault = request.verify_at(fixture().now_s).unwrap_err();
        assert!(fault.code == Code::IncompleteSignature && fault.message.contains(name), "{name}: {fault}");
    }
    let mut both = Recorded::named("presigned, GET");
    both.headers.extend(json().headers.into_iter().filter(|(name, _)| name == "Authorization"));
    assert_eq!(code(both), Code::IncompleteSignature);
    let mut old = Recorded::named("GET").without("authorization");
    old.query += "&AWSAccessKeyId=a&SignatureVersion=2";
    let fault = old.verify_at(fixture().now_s).unwrap_err();
    assert!(fault.code == Code::IncompleteSignature && fault.message.contains("Version 2"));
}

#[test]
fn the_scope_must_be_of_the_day_and_of_the_service() {
    for (from, to) in [
        ("/20261121/", "/20261120/"),
        ("/20261121/", "/2026112/"),
        ("/20261121/", "//"),
        ("/sqs/", "/sns/"),
        ("aws4_request", "aws3_request"),
        ("eu-west-1", "us-east-1"),
        ("SignedHeaders=content-type;host;", "SignedHeaders=content-type;"),
        (";x-amz-target", ""),
        (";x-amz-date", ""),
        (";host;", ";host;absent;"),
    ] {
        let mut request = Recorded::named("JSON");
        let authorization = request.header("authorization");
        assert!(authorization.contains(from), "{from}");
        *authorization = authorization.replace(from, to);
        assert_eq!(request.verify(), Err(Code::SignatureDoesNotMatch), "{from} {to}");
    }
}

#[test]
fn an_unknown_key_and_another_secret_are_refused() {
    let mut request = Recorded::named("JSON");
    let authorization = request.header("authorization");
    *authorization = authorization.replace(KEY, "AKIDOTHER");
    assert_eq!(request.verify(), Err(Code::InvalidClientTokenId));
    let request = Recorded::named("JSON");
    let verifier = Verifier::new();
    request.verify_by(&verifier, fixture().now_s).unwrap();
    let headers: Vec<(&str, &[u8])> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = Request {
        method: "POST",
        path: "/",
        query: "",
        headers: &headers,
        payload: Payload::Bytes(request.body.as_bytes()),
    };
    assert!(verifier.verify(&request, &["sqs"], secret, fixture().now_s).is_ok());
    // The key that was derived from the old secret is of no use any more.
    let rotated = verifier.verify(&request, &["sqs"], |_| Some("rotated"), fixture().now_s);
    assert_eq!(rotated.unwrap_err().code, Code::SignatureDoesNotMatch);
}

/// Signs `request` for its headers host and x-amz-date, as a client does that says `payload` of its body.
fn signed_with(payload: &str, query: &str, header: Option<&str>) -> Result<Verified, Fault> {
    let scope = super::super::key::Scope {
        access_key_id: KEY.to_owned(),
        date: "20150830".to_owned(),
        region: "r".to_owned(),
        service: "sqs".to_owned(),
    };
    let mut headers: Vec<(&str, &[u8])> = vec![("host", b"h"), ("x-amz-date", b"20150830T123600Z")];
    headers.extend(header.map(|value| ("x-amz-content-sha256", value.as_bytes())));
    let body = Payload::Bytes(b"body");
    let request = Request { method: "POST", path: "/", query, headers: &headers, payload: body };
    let canonical = canonical::request(&request, &["host", "x-amz-date"], payload);
    let text =
        format!("AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/r/sqs/aws4_request\n{}", hex(&Sha256::digest(canonical)));
    let signature = hex(&derive(&scope, SECRET).chain_update(text).finalize().into_bytes());
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/20150830/r/sqs/aws4_request,SignedHeaders=host;x-amz-date,Signature={signature}"
    );
    let presigned = format!("{query}&X-Amz-Signature={signature}");
    let mut headers = headers.clone();
    if query.is_empty() {
        headers.push(("authorization", authorization.as_bytes()));
    }
    let query = if query.is_empty() { "" } else { &presigned };
    let request = Request { query, headers: &headers, ..request };
    Verifier::new().verify(&request, &["sqs"], secret, 1_440_938_160)
}

#[test]
fn a_body_is_hashed_whatever_the_request_says_of_it() {
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fr%2Fsqs%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-amz-date";
    let open = format!("{query}&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD");
    let digest = hex(&Sha256::digest(b"body"));
    let other = hex(&Sha256::digest(b"other"));
    assert!(signed_with(&digest, "", None).is_ok());
    assert!(signed_with(&digest, "", Some(&digest)).is_ok());
    assert!(signed_with(&digest, query, None).is_ok());
    assert!(signed_with("UNSIGNED-PAYLOAD", &open, None).is_ok());
    assert!(signed_with("UNSIGNED-PAYLOAD", query, Some("UNSIGNED-PAYLOAD")).is_ok());
    let code = |outcome: Result<Verified, Fault>| outcome.unwrap_err().code;
    assert_eq!(code(signed_with("UNSIGNED-PAYLOAD", query, None)), Code::SignatureDoesNotMatch);
    assert_eq!(code(signed_with("UNSIGNED-PAYLOAD", "", Some("UNSIGNED-PAYLOAD"))), Code::SignatureDoesNotMatch);
    assert_eq!(code(signed_with(&other, "", Some(&other))), Code::SignatureDoesNotMatch);
    let streaming = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    let refused = signed_with(streaming, "", Some(streaming)).unwrap_err();
    assert!(refused.code == Code::UnsupportedOperation && refused.message.contains(streaming));
}

#[test]
fn the_header_date_serves_where_there_is_no_other() {
    let canonical = "GET\n/\n\ndate:Sun, 30 Aug 2015 12:36:00 GMT\nhost:h\n\ndate;host\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let scope = super::super::key::Scope {
        access_key_id: KEY.to_owned(),
        date: "20150830".to_owned(),
        region: "r".to_owned(),
        service: "sqs".to_owned(),
    };
    let text =
        format!("AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/r/sqs/aws4_request\n{}", hex(&Sha256::digest(canonical)));
    let signature = hex(&derive(&scope, SECRET).chain_update(text).finalize().into_bytes());
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/20150830/r/sqs/aws4_request, SignedHeaders=date;host, Signature={signature}"
    );
    let headers: [(&str, &[u8]); 3] =
        [("host", b"h"), ("date", b"Sun, 30 Aug 2015 12:36:00 GMT"), ("authorization", authorization.as_bytes())];
    let request = Request { method: "GET", path: "/", query: "", headers: &headers, payload: Payload::Bytes(b"") };
    assert!(Verifier::new().verify(&request, &["sqs"], secret, 1_440_938_160).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_verified_or_refused(
        path: String,
        query: String,
        authorization: Vec<u8>,
        date in ".{0,20}",
        names in proptest::collection::vec("[a-z-]{0,12}", 0..5),
    ) {
        let mut headers: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"v".as_slice())).collect();
        headers.extend([("host", b"h".as_slice()), ("authorization", &authorization), ("x-amz-date", date.as_bytes())]);
        let request = Request { method: "GET", path: &path, query: &query, headers: &headers, payload: Payload::Bytes(b"") };
        prop_assert!(Verifier::new().verify(&request, &["sqs"], secret, 1_440_938_160).is_err());
        canonical::request(&request, &["host"], "");
    }
}
