//! What a message's body is stored as, and receipt handles: read without harm, and written back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_aws::sqs::payload::Payload;
use weir_aws::sqs::receipt;
use weir_core::api::QueueId;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(payload) = Payload::decode(bytes) {
        let again = payload.encode();
        assert!(Payload::decode(&again).is_ok());
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(handle) = receipt::decode(QueueId(7), text)
    {
        assert_eq!(receipt::decode(QueueId(7), &receipt::encode(QueueId(7), &handle)).ok(), Some(handle));
    }
});
