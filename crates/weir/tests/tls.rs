//! Commands over TLS, against the server of the same binary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// A server in memory that speaks TLS, ended with the test.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(certificate: &Path, key: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(["serve", "--memory", "--listen", "127.0.0.1:0", "--tls-certificate"])
            .arg(certificate)
            .arg("--tls-key")
            .arg(key)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let address = |line: String| {
            let (_, rest) = line.split_once("https://")?;
            Some(rest.split(',').next()?.trim().to_owned())
        };
        let address = log.lines().map_while(Result::ok).find_map(address).expect("the server says where it serves");
        Self { process, url: format!("https://{address}") }
    }

    fn weir(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(arguments).env("WEIR_URL", &self.url).stdin(Stdio::null()).output().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn a_certificate_is_trusted_by_name_only() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let server = Server::start(&certificate, &key);
    let trusting = ["--ca-file", certificate.to_str().unwrap()];

    let created = server.weir(&[&["queue", "create", "jobs"][..], &trusting].concat());
    let url = String::from_utf8(created.stdout).unwrap();
    assert_eq!(url.trim_end(), format!("{}/000000000000/jobs", server.url));

    let refused = server.weir(&["queue", "list"]);
    let reason = String::from_utf8(refused.stderr).unwrap();
    assert!(matches!(refused.status.code(), Some(1 | 8)), "{reason}");
    assert!(reason.contains("certificate"), "{reason}");

    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let refused = server.weir(&["queue", "list", "--ca-file", empty.to_str().unwrap()]);
    let reason = String::from_utf8(refused.stderr).unwrap();
    assert!(reason.contains("there is none in it"), "{reason}");
}
