//! Making the request that carries messages to their target.

use std::io::Write as _;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use minijinja::value::{Serde, Value};

use crate::body::{cloudevents, lambda, native};
use crate::message::{Message, Origin};
use crate::settings::{Compression, Mode};
use crate::signature::signatures;
use crate::target::{BODY, Target, header_value};
use crate::trace::{TRACEPARENT, TRACESTATE, traceparent};

/// The header in which a target finds what it calls back with, and says that it will.
pub const CALLBACK_TOKEN: &str = "weir-callback-token";

/// The attribute with what whoever invoked a function says of itself, base64 of JSON: AWS's `ClientContext`.
pub const CLIENT_CONTEXT: &str = "lambda.client_context";

const JSON: &str = "application/json";

/// A request: what is sent with POST.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Target {
    /// Whether requests carry several messages.
    pub fn is_batch(&self) -> bool {
        self.settings.batch.is_some() || self.settings.mode == Mode::Lambda
    }

    /// Makes the request for these messages, one or, for a batch, more. `now_ms` is the time of day, `seed` is random.
    ///
    /// # Errors
    /// A text that says why it cannot be made from these messages, ever.
    pub fn request(
        &self,
        origin: &Origin<'_>,
        messages: &[Message<'_>],
        now_ms: u64,
        seed: u128,
    ) -> Result<Request, String> {
        let mut headers = HeaderMap::with_capacity(12 + self.fixed.len() + self.rendered.len());
        let mut body = self.body(origin, messages, &mut headers)?;
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("weir/", env!("CARGO_PKG_VERSION"))));
        set(&mut headers, "weir-queue", &cloudevents::percent_encoded(origin.queue))?;
        let first = messages.first();
        let (parent, state) = match (first, self.is_batch()) {
            (Some(message), false) => (message.attribute(TRACEPARENT), message.attribute(TRACESTATE)),
            _ => (None, None),
        };
        set(&mut headers, TRACEPARENT, &traceparent(parent, seed))?;
        if let Some(state) = state.filter(|_| parent.is_some()) {
            // What a producer hands over that is no header is not handed on.
            let _ = set(&mut headers, TRACESTATE, state);
        }
        let id = match first {
            Some(message) if !self.is_batch() => {
                set(&mut headers, "weir-attempt", &message.attempt.to_string())?;
                set(&mut headers, CALLBACK_TOKEN, &message.token)?;
                message.uuid_text()
            }
            _ => format!("batch_{seed:032x}"),
        };
        for (name, value) in &self.fixed {
            headers.insert(name.clone(), value.clone());
        }
        if !self.rendered.is_empty() {
            let context = Value::from(Serde(native::context(origin, messages, self.is_batch())?));
            for name in &self.rendered {
                let text = self.templates.render(name.as_str(), context.clone())?;
                let value = header_value(&text).map_err(|why| format!("the header {name}: {why}"))?;
                headers.insert(name.clone(), value);
            }
        }
        let timestamp_s = now_ms / 1_000;
        set(&mut headers, "webhook-id", &id)?;
        set(&mut headers, "webhook-timestamp", &timestamp_s.to_string())?;
        if !self.secrets.is_empty() {
            set(&mut headers, "webhook-signature", &signatures(&self.secrets, &id, timestamp_s, &body))?;
        }
        if self.settings.compression == Compression::Gzip {
            body = gzip(&body);
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok(Request { headers, body })
    }

    /// The body, and the headers that belong to its form.
    fn body(&self, origin: &Origin<'_>, messages: &[Message<'_>], headers: &mut HeaderMap) -> Result<Vec<u8>, String> {
        let source = self.settings.source.as_deref();
        let is_batch = self.is_batch();
        let first = || messages.first().ok_or_else(|| "there is no message".to_owned());
        let mut media = JSON;
        if self.settings.mode == Mode::CloudEventsBinary {
            for (name, value) in cloudevents::headers(origin, source, first()?) {
                set(headers, &name, &value)?;
            }
        }
        if self.settings.mode == Mode::Payload
            && let Some(context) = first()?.attribute(CLIENT_CONTEXT)
        {
            set(headers, "x-amz-client-context", context)?;
        }
        let body = match (&self.settings.body, self.settings.mode) {
            (Some(_), _) => {
                let context = native::context(origin, messages, is_batch)?;
                self.templates.render(BODY, Value::from(Serde(context)))?.into_bytes()
            }
            (None, Mode::Native) if is_batch => native::many(origin, messages)?,
            (None, Mode::Native) => native::one(origin, first()?)?,
            (None, Mode::CloudEvents) if is_batch => {
                media = cloudevents::EVENTS;
                cloudevents::many(origin, source, messages)?
            }
            (None, Mode::CloudEvents) => {
                media = cloudevents::EVENT;
                cloudevents::one(origin, source, first()?)?
            }
            (None, Mode::CloudEventsBinary | Mode::Payload) => first()?.data.as_bytes().to_vec(),
            (None, Mode::Lambda) => lambda::event(origin, messages),
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        Ok(body)
    }
}

fn set(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    let name: HeaderName = name.parse().map_err(|_| format!("{name} is no name of a header"))?;
    let value = header_value(value).map_err(|why| format!("the header {name}: {why}"))?;
    headers.insert(name, value);
    Ok(())
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(body.len() / 2), flate2::Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("a vector takes everything")
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::io::Read as _;

    use serde_json::{Value as Json, json};

    use super::*;
    use crate::message::{Attribute, Value as AttributeValue};
    use crate::target::tests::target;

    const ORIGIN: Origin<'_> = Origin {
        queue: "mail/out",
        arn: "arn:aws:sqs:us-east-1:000000000000:mail",
        region: "us-east-1",
        account: "000000000000",
    };

    fn message(id: u64) -> Message<'static> {
        Message {
            id,
            uuid: [0xab; 16],
            name: Some("welcome"),
            custom_id: None,
            group: Some("g"),
            deduplication_id: None,
            trace_header: None,
            body: r#"{"to":"a@b"}"#,
            data: Cow::Borrowed(r#"{"to":"a@b"}"#),
            attributes: vec![
                Attribute { name: "tenant", data_type: "String", value: AttributeValue::Text("acme") },
                Attribute { name: "n", data_type: "Number", value: AttributeValue::Text("1.5") },
                Attribute { name: "Raw", data_type: "Binary", value: AttributeValue::Binary(Cow::Borrowed(b"\x01")) },
            ],
            attempt: 2,
            leases: 3,
            sent_at_ms: 1_614_265_330_123,
            first_leased_at_ms: 1_614_265_331_000,
            priority: 5,
            token: format!("TOKEN{id}"),
        }
    }

    fn request(settings: &str, messages: &[Message<'_>]) -> (Request, Json) {
        let request = target(settings).request(&ORIGIN, messages, 1_614_265_330_999, 7).unwrap();
        let json = serde_json::from_slice(&request.body).unwrap_or_default();
        (request, json)
    }

    fn header<'a>(request: &'a Request, name: &str) -> &'a str {
        request.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn a_job_goes_in_the_words_of_the_native_api() {
        let (request, body) = request(r#"{"url": "http://a"}"#, &[message(17)]);
        let attributes = json!({"tenant": "acme", "n": 1.5, "Raw": {"binary": "AQ=="}});
        let expected = json!({
            "id": "17", "queue": "mail/out", "name": "welcome", "group": "g", "data": {"to": "a@b"}, "attempt": 2,
            "leases": 3, "priority": 5, "added_at_ms": 1_614_265_330_123_u64, "attributes": attributes,
        });
        assert_eq!(body, expected);
        assert_eq!(header(&request, "content-type"), "application/json");
        assert_eq!(header(&request, "weir-queue"), "mail%2Fout");
        assert_eq!(header(&request, "weir-attempt"), "2");
        assert_eq!(header(&request, "weir-callback-token"), "TOKEN17");
        assert_eq!(header(&request, "webhook-id"), "abababab-abab-abab-abab-abababababab");
        assert_eq!(header(&request, "webhook-timestamp"), "1614265330");
        assert_eq!(header(&request, "webhook-signature"), "");
        assert!(header(&request, "traceparent").starts_with("00-"));
    }

    #[test]
    fn a_batch_names_its_queue_once() {
        let (request, body) = request(r#"{"url": "http://a", "batch": {"max": 10}}"#, &[message(1), message(2)]);
        assert_eq!(body["queue"], "mail/out");
        assert_eq!((&body["jobs"][0]["id"], &body["jobs"][1]["id"]), (&json!("1"), &json!("2")));
        assert!(body["jobs"][0].get("queue").is_none());
        assert_eq!(header(&request, "weir-callback-token"), "");
        assert!(header(&request, "webhook-id").starts_with("batch_"));
    }

    #[test]
    fn an_event_goes_in_structured_mode() {
        let (request, body) = request(r#"{"url": "http://a", "mode": "cloudevents"}"#, &[message(1)]);
        let expected = json!({
            "specversion": "1.0", "id": "abababab-abab-abab-abab-abababababab", "source": "/v1/queues/mail%2Fout",
            "type": "welcome", "time": "2021-02-25T15:02:10.123Z", "datacontenttype": "application/json",
            "weirattempt": 2, "partitionkey": "g", "tenant": "acme", "n": "1.5", "data": {"to": "a@b"},
        });
        assert_eq!(body, expected);
        assert_eq!(header(&request, "content-type"), "application/cloudevents+json; charset=utf-8");
        let (_, body) = self::request(
            r#"{"url": "http://a", "mode": "cloudevents", "batch": {"max": 2}, "source": "urn:x"}"#,
            &[message(1), message(2)],
        );
        assert_eq!((body[0]["source"].as_str(), body.as_array().unwrap().len()), (Some("urn:x"), 2));
    }

    #[test]
    fn an_event_goes_in_binary_mode() {
        let (request, body) = request(r#"{"url": "http://a", "mode": "cloudevents_binary"}"#, &[message(1)]);
        assert_eq!(body, json!({"to": "a@b"}));
        for (name, value) in [
            ("ce-specversion", "1.0"),
            ("ce-type", "welcome"),
            ("ce-weirattempt", "2"),
            ("ce-tenant", "acme"),
            ("ce-datacontenttype", ""),
            ("content-type", "application/json"),
        ] {
            assert_eq!(header(&request, name), value, "{name}");
        }
    }

    #[test]
    fn the_event_of_a_lambda_function_is_that_of_sqs() {
        let (_, body) = request(r#"{"url": "http://a", "mode": "lambda"}"#, &[message(1)]);
        let expected = json!({"Records": [{
            "messageId": "abababab-abab-abab-abab-abababababab",
            "receiptHandle": "TOKEN1",
            "body": "{\"to\":\"a@b\"}",
            "attributes": {
                "ApproximateReceiveCount": "3", "SentTimestamp": "1614265330123", "SenderId": "000000000000",
                "ApproximateFirstReceiveTimestamp": "1614265331000", "MessageGroupId": "g",
            },
            "messageAttributes": {
                "tenant": {"stringValue": "acme", "stringListValues": [], "binaryListValues": [], "dataType": "String"},
                "n": {"stringValue": "1.5", "stringListValues": [], "binaryListValues": [], "dataType": "Number"},
                "Raw": {"binaryValue": "AQ==", "stringListValues": [], "binaryListValues": [], "dataType": "Binary"},
            },
            "md5OfBody": "b4a9b3ab9f1f0d0b5ed8a2ecb4bfa6d7",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:mail",
            "awsRegion": "us-east-1",
        }]});
        let md5 = body["Records"][0]["md5OfBody"].as_str().unwrap().to_owned();
        assert_eq!(md5.len(), 32);
        let mut expected = expected;
        expected["Records"][0]["md5OfBody"] = md5.into();
        assert_eq!(body, expected);
    }

    #[test]
    fn templates_make_headers_and_body() {
        let settings = r#"{"url": "http://a", "headers": {"X-Tenant": "{{ job.attributes.tenant }}", "content-type": "text/plain"},
            "secret_headers": {"authorization": "Bearer x"}, "body": "{{ job.data.to }} from {{ queue }}"}"#;
        let (request, _) = request(settings, &[message(1)]);
        assert_eq!(request.body, b"a@b from mail/out");
        assert_eq!(header(&request, "x-tenant"), "acme");
        assert_eq!(header(&request, "content-type"), "text/plain");
        assert_eq!(header(&request, "authorization"), "Bearer x");
        let target = target(r#"{"url": "http://a", "headers": {"a": "{{ job.nothing.at_all }}"}}"#);
        assert!(target.request(&ORIGIN, &[message(1)], 0, 0).unwrap_err().starts_with("the template of a: undefined"));
    }

    #[test]
    fn what_is_compressed_is_signed_as_it_was_before() {
        let signed = r#""secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]"#;
        let (plain, _) = request(&format!(r#"{{"url": "http://a", {signed}}}"#), &[message(1)]);
        let (packed, _) = request(&format!(r#"{{"url": "http://a", {signed}, "compression": "gzip"}}"#), &[message(1)]);
        assert_eq!(header(&packed, "content-encoding"), "gzip");
        assert_eq!(header(&packed, "webhook-signature"), header(&plain, "webhook-signature"));
        let mut body = Vec::new();
        flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut body).unwrap();
        assert_eq!(body, plain.body);
    }
}
