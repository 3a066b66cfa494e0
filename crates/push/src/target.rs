//! A target: settings that were checked, as requests are made from them.

use http::header::{HeaderName, HeaderValue};

use crate::network::Network;
use crate::settings::{Invalid, Settings};
use crate::signature::Secret;
use crate::template::Templates;
use crate::url::Url;

/// The name of the body's template.
pub(crate) const BODY: &str = "body";

/// Headers that the connection or the request's form need as they are.
const RESERVED: [&str; 16] = [
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
    "weir-callback-token",
    "weir-queue",
];

/// Settings that were checked.
#[derive(Debug)]
pub struct Target {
    /// As they were set.
    pub settings: Settings,
    /// Where it is called.
    pub url: Url,
    /// The networks to which it keeps; any where there are none.
    pub networks: Vec<Network>,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) templates: Templates,
    /// Headers that are templates, under which name.
    pub(crate) rendered: Vec<HeaderName>,
    /// Headers that are always the same.
    pub(crate) fixed: Vec<(HeaderName, HeaderValue)>,
}

impl Target {
    /// Checks settings.
    ///
    /// # Errors
    /// [`Invalid`] names the field that makes no sense.
    pub fn new(settings: Settings) -> Result<Self, Invalid> {
        settings.check_numbers()?;
        let url = Url::parse(&settings.url).map_err(|text| Invalid::new("url", text))?;
        if settings.ca.is_some() && !url.secure {
            return Err(Invalid::new("ca", "means nothing with a URL that does not start with https://"));
        }
        let mut networks = Vec::new();
        for (at, text) in settings.networks.iter().enumerate() {
            let network = text.parse().map_err(|error: crate::network::NotANetwork| {
                Invalid::new(format!("networks[{at}]"), error.to_string())
            })?;
            networks.push(network);
        }
        let mut secrets = Vec::new();
        for (at, secret) in settings.secrets.iter().flatten().enumerate() {
            secrets.push(Secret::parse(&secret.0).map_err(|text| Invalid::new(format!("secrets[{at}]"), text))?);
        }
        let mut target = Self {
            url,
            networks,
            secrets,
            templates: Templates::default(),
            rendered: Vec::new(),
            fixed: Vec::new(),
            settings,
        };
        target.read_headers()?;
        if let Some(body) = &target.settings.body {
            target.templates.add(BODY, body).map_err(|text| Invalid::new("body", text))?;
        }
        Ok(target)
    }

    fn read_headers(&mut self) -> Result<(), Invalid> {
        for (name, source) in &self.settings.headers {
            let field = format!("headers.{name}");
            let header = header_name(name).map_err(|text| Invalid::new(&field, text))?;
            if self.rendered.contains(&header) {
                return Err(Invalid::new(field, "stands twice"));
            }
            if source.contains("{{") || source.contains("{%") || source.contains("{#") {
                self.templates.add(header.as_str(), source).map_err(|text| Invalid::new(field, text))?;
                self.rendered.push(header);
            } else {
                self.fixed.push((header, header_value(source).map_err(|text| Invalid::new(field, text))?));
            }
        }
        for (name, value) in self.settings.secret_headers.iter().flatten() {
            let field = format!("secret_headers.{name}");
            let header = header_name(name).map_err(|text| Invalid::new(&field, text))?;
            if self.rendered.contains(&header) || self.fixed.iter().any(|(other, _)| *other == header) {
                return Err(Invalid::new(field, "stands twice"));
            }
            let mut value = header_value(&value.0).map_err(|text| Invalid::new(field, text))?;
            value.set_sensitive(true);
            self.fixed.push((header, value));
        }
        Ok(())
    }
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    let header: HeaderName = name.parse().map_err(|_| "is no name of a header".to_owned())?;
    if RESERVED.contains(&header.as_str()) {
        return Err("is set by the server".to_owned());
    }
    Ok(header)
}

/// Longest value of a header.
const VALUE_BYTES_MAX: usize = 8 << 10;

/// Text as the value of a header.
pub(crate) fn header_value(text: &str) -> Result<HeaderValue, String> {
    if text.len() > VALUE_BYTES_MAX {
        return Err(format!("must have at most {VALUE_BYTES_MAX} bytes, found {}", text.len()));
    }
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| "must not have control characters".to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn target(json: &str) -> Target {
        Target::new(serde_json::from_str(json).unwrap()).unwrap()
    }

    fn refused(json: &str) -> String {
        Target::new(serde_json::from_str(json).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_the_name_of_its_field() {
        for (json, text) in [
            (r#"{"url": "ftp://a"}"#, "url: must start with http:// or https://, found ftp:"),
            (r#"{"url": "http://a", "batch": {"max": 0}}"#, "batch.max: must be from 1 to 1000, found 0"),
            (
                r#"{"url": "http://a", "mode": "payload", "batch": {"max": 1}}"#,
                "batch: means nothing with the mode payload",
            ),
            (r#"{"url": "http://a", "mode": "cloudevents_binary", "batch": {"max": 2}}"#, "batch.max: must be 1 with"),
            (
                r#"{"url": "http://a", "concurrency": {"min": 5, "max": 4}}"#,
                "concurrency.min: must be from 1 to 4, found 5",
            ),
            (r#"{"url": "http://a", "secrets": ["whsec_AA"]}"#, "secrets[0]: must"),
            (r#"{"url": "http://a", "secrets": ["a","a","a","a","a","a"]}"#, "secrets: may have 5 entries, found 6"),
            (r#"{"url": "http://a", "headers": {"Host": "b"}}"#, "headers.Host: is set by the server"),
            (r#"{"url": "http://a", "headers": {"a b": "b"}}"#, "headers.a b: is no name of a header"),
            (r#"{"url": "http://a", "headers": {"a": "b\n"}}"#, "headers.a: must not have control characters"),
            (r#"{"url": "http://a", "headers": {"a": "{{ b"}}"#, "headers.a: the template: syntax error"),
            (
                r#"{"url": "http://a", "headers": {"a": "b"}, "secret_headers": {"A": "c"}}"#,
                "secret_headers.A: stands twice",
            ),
            (r#"{"url": "http://a", "body": "{% if %}"}"#, "body: the template: syntax error"),
            (r#"{"url": "http://a", "networks": ["10.0.0.0/99"]}"#, "networks[0]: must be an address or a network"),
            (r#"{"url": "http://a", "ca": "x"}"#, "ca: means nothing"),
            (
                r#"{"url": "http://a", "timeouts": {"total_ms": 0}}"#,
                "timeouts.total_ms: must be from 1 to 3600000, found 0",
            ),
        ] {
            let found = refused(json);
            assert!(found.starts_with(text), "{json}: {found}");
        }
    }

    #[test]
    fn secrets_are_neither_shown_nor_lost() {
        let with = r#"{"url": "http://a", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "secret_headers": {"authorization": "Bearer hush"}}"#;
        let before = target(with).settings;
        let shown = serde_json::to_string(&before.shown()).unwrap();
        assert!(!shown.contains("whsec") && !shown.contains("hush"), "{shown}");
        let debug = format!("{:?}", target(with));
        assert!(!debug.contains("whsec") && !debug.contains("hush"), "{debug}");
        let mut after: Settings = serde_json::from_str(&shown).unwrap();
        after.keep_secrets_of(&before);
        assert_eq!(after, before);
        let mut without: Settings =
            serde_json::from_str(r#"{"url": "http://a", "secrets": [], "secret_headers": {}}"#).unwrap();
        without.keep_secrets_of(&before);
        assert!(without.secrets.unwrap().is_empty() && without.secret_headers.unwrap().is_empty());
    }

    #[test]
    fn a_breaker_is_there_unless_it_is_turned_off() {
        assert!(target(r#"{"url": "http://a"}"#).settings.breaker.is_some());
        assert!(target(r#"{"url": "http://a", "breaker": null}"#).settings.breaker.is_none());
    }
}
