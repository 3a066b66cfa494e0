//! Requests of SNS: the first byte names the operation, the rest is the body. What was refused is answered in XML that is
//! UTF-8; what can be published is stored so that it reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_aws::query::Form;
use weir_aws::sns::publish::{Settings, prepare};
use weir_aws::sns::{self, Operation, Request};
use weir_aws::sqs::Limits;
use weir_aws::sqs::payload::Payload;
use weir_core::api::Kind;

fuzz_target!(|bytes: &[u8]| {
    let Some((&operation, body)) = bytes.split_first() else { return };
    let operation = Operation::ALL[usize::from(operation) % Operation::ALL.len()];
    let read = Form::parse("/", b"", body);
    let form = match &read {
        Ok(form) => form,
        Err(fault) => return assert!(String::from_utf8(sns::error(fault, "r")).is_ok()),
    };
    let _ = (sns::is_meant(form), sns::operation(form));
    match sns::decode(operation, form) {
        Ok(Request::Publish(request)) => {
            let settings = Settings {
                topic_arn: "arn",
                kind: if request.target_arn.is_some() { Kind::Fifo } else { Kind::Standard },
                content_deduplication: true,
                message_bytes_max: 262_144,
                signature_version: 1,
            };
            if let Ok(prepared) = prepare(&request.message, &settings, &Limits::OURS, [0; 16], 0) {
                let payload = Payload::decode(&prepared.payload).expect("what was written reads back");
                let (_, text) = sns::envelope::signed_text(&payload, "sqs").expect("it is a publication");
                assert!(text.starts_with("Message\n"));
                let links = sns::envelope::Links::default();
                assert!(sns::envelope::notification(&payload, "sqs", None, None, &links).is_some());
            }
        }
        Ok(_) => {}
        Err(fault) => assert!(String::from_utf8(sns::error(&fault, "r")).is_ok()),
    }
});
