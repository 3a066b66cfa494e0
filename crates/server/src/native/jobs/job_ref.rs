//! How an address names a job.

use weir_aws::sqs::custom_id_hash;
use weir_core::api::job::JobRef;

/// Digits are an id that the server gave; anything else one that the sender chose.
pub(super) fn job_ref(text: &str) -> JobRef {
    match text.parse() {
        Ok(id) if text.bytes().all(|byte| byte.is_ascii_digit()) => JobRef::Id(id),
        _ => JobRef::Custom(custom_id_hash(text)),
    }
}
