//! The address that a target is called at.

use std::net::IpAddr;

use http::Uri;

/// Longest URL in bytes.
pub const URL_BYTES_MAX: usize = 4_096;

/// A URL, in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// As it is called.
    pub uri: Uri,
    /// Whether TLS is spoken.
    pub secure: bool,
    /// Name or address, without the brackets of IPv6.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Url {
    /// Reads a URL. The error says what is wrong with it, as what stands behind the name of a field.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > URL_BYTES_MAX {
            return Err(format!("must have at most {URL_BYTES_MAX} bytes, found {}", text.len()));
        }
        let uri: Uri = text.parse().map_err(|error| format!("must be a URL: {error}"))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(other) => return Err(format!("must start with http:// or https://, found {other}:")),
            None => return Err("must start with http:// or https://".to_owned()),
        };
        let authority = uri.authority().ok_or("must name a host")?;
        if authority.as_str().contains('@') {
            return Err("must not carry a user or password; set `secret_headers.authorization`".to_owned());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err("must name a host".to_owned());
        }
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let names_port = authority.as_str().len() > authority.host().len();
        if port == 0 || names_port && authority.port_u16().is_none() {
            return Err("the port must be from 1 to 65535".to_owned());
        }
        Ok(Self { uri, secure, host, port })
    }

    /// The address where the host is written as one.
    pub fn literal(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_into_its_parts() {
        let url = Url::parse("https://example.com/a?b=c").unwrap();
        assert_eq!((url.secure, url.host.as_str(), url.port), (true, "example.com", 443));
        let url = Url::parse("http://[::1]:8080").unwrap();
        assert_eq!((url.secure, url.literal(), url.port), (false, "::1".parse().ok(), 8080));
        assert_eq!(Url::parse("http://127.0.0.1/").unwrap().literal(), "127.0.0.1".parse().ok());
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for text in [
            "",
            "/path",
            "example.com",
            "ftp://a/",
            "file:///etc/passwd",
            "http://u:p@a/",
            "http://",
            "http://a:0/",
            "http://a:99999/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }
}
