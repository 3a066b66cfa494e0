//! Files that tests make from the code, and keep current.

use std::path::Path;

/// Compares a file of the repository with what it should be; with `WEIR_WRITE=1`, writes it.
pub(crate) fn check(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os("WEIR_WRITE").is_some() {
        std::fs::write(&file, expected).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == expected, "{path} is not current: WEIR_WRITE=1 cargo test -p weir-server writes it");
}
