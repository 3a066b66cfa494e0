//! Signatures: a request whose parts are the lines of the input (path, query, then headers as name:value) is verified or
//! refused, and never found to be signed by a secret that nobody has.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_aws::sigv4::{Payload, Request, Verifier};

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let mut text = || std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default();
    let (path, query) = (text(), text());
    let mut headers: Vec<(&str, &[u8])> = vec![("host", b"h"), ("x-amz-date", b"20150830T123600Z")];
    for line in lines {
        let at = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(at);
        headers.push((std::str::from_utf8(name).unwrap_or_default(), value.get(1..).unwrap_or_default()));
    }
    let request = Request { method: "POST", path, query, headers: &headers, payload: Payload::Bytes(bytes) };
    assert!(Verifier::new().verify(&request, &["sqs"], |_| Some("a secret"), 1_440_938_160).is_err());
});
