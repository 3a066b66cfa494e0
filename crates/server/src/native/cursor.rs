//! Cursors: where a page of a listing ended, in a form that says nothing to others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Problem;

/// Writes the key of the last item of a page.
pub(crate) fn write(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// Reads it back.
pub(crate) fn read(cursor: &str) -> Result<String, Problem> {
    let key = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(|| Problem::field("cursor", "it is none that this server gave"))
}
