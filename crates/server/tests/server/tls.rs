//! Serving over TLS.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::support::{Running, config, start};
use h2::client::handshake;
use hyper::Request;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use weir_server::{Config, Server, TlsFiles};

const NAME: &str = "queues.test";

fn certificate() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed([NAME.to_owned()]).unwrap()
}

fn files(dir: &Path) -> TlsFiles {
    TlsFiles { certificate: dir.join("certificate.pem"), key: dir.join("key.pem") }
}

/// Writes a file that is newer than what stood there, however short ago that was written.
fn write(path: &Path, text: &str, age: u64) {
    fs::write(path, text).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(age);
    File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
}

/// A server with `certificate` in a folder of its own.
fn serving(certificate: &CertifiedKey<KeyPair>) -> (TempDir, Running) {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    write(&files.certificate, &certificate.cert.pem(), 1);
    write(&files.key, &certificate.signing_key.serialize_pem(), 1);
    let running = start(Config { tls: Some(files), ..config() });
    (dir, running)
}

/// A connection that trusts `certificate` alone and speaks `protocol`.
async fn connect(
    running: &Running,
    certificate: &CertifiedKey<KeyPair>,
    protocol: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.cert.der().clone()).unwrap();
    let mut client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(running.address).await?;
    TlsConnector::from(Arc::new(client)).connect(ServerName::try_from(NAME).unwrap(), stream).await
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn trusts(running: &Running, certificate: &CertifiedKey<KeyPair>) -> bool {
    block_on(connect(running, certificate, "http/1.1")).is_ok()
}

#[test]
fn http_1_is_spoken_over_tls() {
    let certificate = certificate();
    let (_dir, running) = serving(&certificate);
    let answer = block_on(async {
        let mut stream = connect(&running, &certificate, "http/1.1").await.unwrap();
        stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    });
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn http_2_is_spoken_over_tls_and_queue_urls_say_so() {
    let certificate = certificate();
    let (_dir, running) = serving(&certificate);
    let answer: Value = block_on(async {
        let stream = connect(&running, &certificate, "h2").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        let (client, connection) = handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = Request::post(format!("https://{NAME}/")).header("x-amz-target", "AmazonSQS.CreateQueue");
        let mut client = client.ready().await.unwrap();
        let (response, mut stream) = client.send_request(request.body(()).unwrap(), false).unwrap();
        stream.send_data(bytes::Bytes::from(json!({ "QueueName": "q" }).to_string()), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let mut whole = Vec::new();
        while let Some(part) = body.data().await {
            whole.extend_from_slice(&part.unwrap());
        }
        serde_json::from_slice(&whole).unwrap()
    });
    let url = answer["QueueUrl"].as_str().unwrap();
    assert!(url.starts_with(&format!("https://{NAME}/")), "{url}");
}

#[test]
fn a_changed_certificate_is_shown_to_new_connections() {
    let (old, new) = (certificate(), certificate());
    let (dir, running) = serving(&old);
    let files = files(dir.path());
    assert!(trusts(&running, &old) && !trusts(&running, &new));
    write(&files.certificate, &new.cert.pem(), 2);
    assert!(trusts(&running, &old), "the key does not belong to the new certificate yet");
    write(&files.key, &new.signing_key.serialize_pem(), 2);
    assert!(trusts(&running, &new) && !trusts(&running, &old));
    fs::remove_file(&files.key).unwrap();
    assert!(trusts(&running, &new), "what cannot be read changes nothing");
}

#[test]
fn plain_http_gets_no_answer_where_tls_is_spoken() {
    let certificate = certificate();
    let (_dir, running) = serving(&certificate);
    let mut stream = running.connect();
    stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // The connection may be reset, with the request unread.
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn files_that_cannot_be_used_keep_the_server_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    let (one, other) = (certificate(), certificate());
    let refusal = |certificate: Option<&str>, key: Option<&str>| {
        for (path, text) in [(&files.certificate, certificate), (&files.key, key)] {
            let _ = fs::remove_file(path);
            if let Some(text) = text {
                fs::write(path, text).unwrap();
            }
        }
        let (shard, _) =
            weir_shard::Shard::open(weir_store::MemoryDisk::new(), weir_store::Options::default()).unwrap();
        let config = Config { tls: Some(files.clone()), ..config() };
        let refusal = block_on(Server::bind(config, shard.clone())).err().unwrap().to_string();
        shard.close();
        refusal
    };
    let (pem, key) = (one.cert.pem(), one.signing_key.serialize_pem());
    let absent = refusal(None, Some(&key));
    assert!(absent.contains("cannot read the certificate in") && absent.contains("certificate.pem"), "{absent}");
    let empty = refusal(Some(""), Some(&key));
    assert!(empty.contains("no certificate in"), "{empty}");
    let keyless = refusal(Some(&pem), Some("nothing"));
    assert!(keyless.contains("cannot read the key in") && keyless.contains("key.pem"), "{keyless}");
    let strange = refusal(Some(&pem), Some(&other.signing_key.serialize_pem()));
    assert!(strange.contains("cannot be used with the key in"), "{strange}");
}
