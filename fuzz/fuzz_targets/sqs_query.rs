//! Requests of the Query protocol: the first byte names the operation, a NUL ends the query of the URL, the rest is the
//! body. What was refused and what was understood is answered in XML that is UTF-8.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_aws::sqs::query::{self, Form};
use weir_aws::sqs::{Answer, AnyRequest, Operation};

fuzz_target!(|bytes: &[u8]| {
    let Some((&operation, rest)) = bytes.split_first() else { return };
    let operation = Operation::ALL[usize::from(operation) % Operation::ALL.len()];
    let at = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
    let (url, body) = rest.split_at(at);
    let form = match Form::parse("/000000000000/orders", url, body) {
        Ok(form) => form,
        Err(fault) => return assert!(String::from_utf8(query::error(&fault, "r")).is_ok()),
    };
    let _ = query::operation(&form);
    match AnyRequest::from_form(operation, &form) {
        Ok(AnyRequest::ListQueues(request)) => {
            let text = request.prefix.unwrap_or_default();
            let answer = query::answer(operation, &Answer::QueueUrl(&text), "r");
            assert!(String::from_utf8(answer).is_ok());
        }
        Ok(request) => assert_eq!(request.operation(), operation),
        Err(fault) => assert!(String::from_utf8(query::error(&fault, "r")).is_ok()),
    }
});
