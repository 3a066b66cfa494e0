//! The form of a request that is signed.

use std::borrow::Cow;

use super::request::Request;

/// The name of the parameter that holds a presigned request's signature, which cannot sign itself.
pub(super) const SIGNATURE: &str = "X-Amz-Signature";

/// The canonical form of `request`: what its signature covers. `signed` are the names of the headers, `payload` stands
/// for the body.
pub(super) fn request(request: &Request<'_>, signed: &[&str], payload: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + 2 * request.query.len());
    out.extend_from_slice(request.method.as_bytes());
    out.push(b'\n');
    push_path(&mut out, request.path);
    out.push(b'\n');
    push_query(&mut out, request.query);
    out.push(b'\n');
    for name in signed {
        push_lowercase(&mut out, name);
        out.push(b':');
        for (at, value) in request.headers(name).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            push_value(&mut out, value);
        }
        out.push(b'\n');
    }
    out.push(b'\n');
    for (at, name) in signed.iter().enumerate() {
        if at > 0 {
            out.push(b';');
        }
        push_lowercase(&mut out, name);
    }
    out.push(b'\n');
    out.extend_from_slice(payload.as_bytes());
    out
}

fn push_lowercase(out: &mut Vec<u8>, name: &str) {
    out.extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
}

/// Writes a path without its `.`, `..` and empty parts, and percent-encoded once more than it was sent, as all services
/// but S3 want it.
fn push_path(out: &mut Vec<u8>, path: &str) {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    for part in &parts {
        out.push(b'/');
        for byte in part.bytes() {
            push_encoded(out, byte);
        }
    }
    let ends_open = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    if parts.is_empty() || ends_open {
        out.push(b'/');
    }
}

/// Writes the parameters of a query in the order of their encoded names and values.
fn push_query(out: &mut Vec<u8>, query: &str) {
    let mut parameters: Vec<(Vec<u8>, Vec<u8>)> = parameters(query)
        .filter(|(name, _)| *name != SIGNATURE)
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    parameters.sort_unstable();
    for (at, (name, value)) in parameters.iter().enumerate() {
        if at > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(value);
    }
}

/// Names and values of the parameters of a query, as they were sent.
fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|part| !part.is_empty()).map(|part| part.split_once('=').unwrap_or((part, "")))
}

/// The value of the parameter `name`, decoded; `None` also where it is no UTF-8.
pub(super) fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let (_, value) = parameters(query).find(|(known, _)| *known == name)?;
    if !value.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(value));
    }
    String::from_utf8(decoded(value)).ok().map(Cow::Owned)
}

/// Percent-encodes anew what is percent-encoded already, in the one form that is signed.
fn encoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in decoded(text) {
        push_encoded(&mut out, byte);
    }
    out
}

/// Decodes `%XX`, and `+` as the space that forms take it for. A `%` that begins no such sequence stands for itself.
fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        rest = match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                after.get(2..).unwrap_or_default()
            }
            (byte, _, _) => {
                out.push(if byte == b'+' { b' ' } else { byte });
                after
            }
        };
    }
    out
}

fn push_encoded(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
        out.push(byte);
    } else {
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
        out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
    }
}

/// Writes the value of a header without the space around it, and with one space where it has several.
fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    for (at, word) in words.enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> String {
        let mut out = Vec::new();
        push_path(&mut out, path);
        String::from_utf8(out).unwrap()
    }

    fn query(query: &str) -> String {
        let mut out = Vec::new();
        push_query(&mut out, query);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_path_is_plain_and_encoded_twice() {
        for (sent, signed) in [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("/.", "/"),
            ("/./", "/"),
            ("/./example", "/example"),
            ("/example/..", "/"),
            ("/example1/example2/../..", "/"),
            ("/../a", "/a"),
            ("//example//", "/example/"),
            ("/example space/", "/example%20space/"),
            ("/a%20b", "/a%2520b"),
            ("/-._~0Az", "/-._~0Az"),
            ("/ሴ", "/%E1%88%B4"),
            ("/000000000000/orders.fifo", "/000000000000/orders.fifo"),
        ] {
            assert_eq!(path(sent), signed, "{sent}");
        }
    }

    #[test]
    fn a_query_is_sorted_and_encoded_in_one_form() {
        for (sent, signed) in [
            ("", ""),
            ("b=1&a=2", "a=2&b=1"),
            ("a=2&a=1", "a=1&a=2"),
            ("a", "a="),
            ("a=%2f&b=%c3%A9", "a=%2F&b=%C3%A9"),
            ("a=b+c%2Bd", "a=b%20c%2Bd"),
            ("a=b=c", "a=b%3Dc"),
            ("a=*%7E%", "a=%2A~%25"),
            ("X-Amz-Signature=s&X-Amz-Date=d", "X-Amz-Date=d"),
            ("&&a=1&", "a=1"),
        ] {
            assert_eq!(query(sent), signed, "{sent}");
        }
    }

    #[test]
    fn parameters_are_found_decoded() {
        let query = "X-Amz-Credential=key%2F20150830&b=c+d";
        assert_eq!(parameter(query, "X-Amz-Credential").as_deref(), Some("key/20150830"));
        assert_eq!(parameter(query, "b").as_deref(), Some("c d"));
        assert_eq!(parameter(query, "c"), None);
        assert_eq!(parameter("a=%ff", "a"), None);
    }
}
