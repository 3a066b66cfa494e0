//! Addresses of the native API: names and values take their places in them and cannot leave these.

/// The path of `segments` under `/v1`.
pub fn path(segments: &[&str]) -> String {
    segments.iter().fold("/v1".to_owned(), |path, segment| path + "/" + &segment_of(segment))
}

/// A query, its parameters in the order in which they are signed.
pub fn query(parameters: &[(&'static str, String)]) -> String {
    let mut written: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    written.sort_unstable();
    written.join("&")
}

/// A path in the form that is signed: percent-encoded once more than it is sent.
pub fn signed(path: &str) -> String {
    let segments: Vec<String> = path.split('/').map(encoded).collect();
    segments.join("/")
}

/// A name as a segment of a path. Dots that would mean a folder are encoded too.
fn segment_of(name: &str) -> String {
    match name {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        name => encoded(name),
    }
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => {
                out.push('%');
                for nibble in [byte >> 4, byte & 15] {
                    out.extend(char::from_digit(u32::from(nibble), 16).map(|digit| digit.to_ascii_uppercase()));
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place_in_the_path() {
        assert_eq!(path(&["queues", "mail.fifo", "jobs"]), "/v1/queues/mail.fifo/jobs");
        assert_eq!(path(&["queues", "../x?y#ß"]), "/v1/queues/..%2Fx%3Fy%23%C3%9F");
        assert_eq!(path(&["queues", ".."]), "/v1/queues/%2E%2E");
    }

    #[test]
    fn parameters_stand_in_the_order_in_which_they_are_signed() {
        let parameters = [("state", "failed".to_owned()), ("filter", "a = \"b c\"&x".to_owned())];
        assert_eq!(query(&parameters), "filter=a%20%3D%20%22b%20c%22%26x&state=failed");
    }

    #[test]
    fn a_path_is_signed_as_if_it_were_encoded_once_more() {
        assert_eq!(signed("/v1/queues/a%20b/jobs"), "/v1/queues/a%2520b/jobs");
        assert_eq!(signed("/"), "/");
    }
}
