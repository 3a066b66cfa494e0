//! The key that notifications are signed with, and its certificate.
//!
//! Both are made when the first signature, or the certificate, is asked for, and kept in the data directory. Signing with
//! RSA takes a millisecond or so; the last signatures are remembered, for a message in many queues is the same in all.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use rsa::pkcs1::EncodeRsaPublicKey as _;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use tokio::sync::OnceCell;
use weir_aws::{Code, Fault};

/// Length of the key in bits.
const KEY_BITS: usize = 2_048;
/// Most signatures that are remembered.
const REMEMBERED: usize = 4_096;
/// Names of the files.
const KEY_FILE: &str = "signing-key.pem";
const CERTIFICATE_FILE: &str = "certificate.pem";
/// What is said where there is no key.
const NO_KEY: &str = "There is no key to sign with; the server's log says why.";
/// Where the certificate is served: its fingerprint and `.pem` follow.
pub(super) const PATH: &str = "/sns/SimpleNotificationService-";

/// Signs what topics send out.
#[derive(Debug)]
pub(crate) struct Signer {
    directory: Option<PathBuf>,
    keys: OnceCell<Arc<Keys>>,
    remembered: Mutex<Remembered>,
}

/// The key and its certificate.
pub(crate) struct Keys {
    key: RsaPrivateKey,
    certificate: String,
    path: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("path", &self.path).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Remembered {
    by_text: HashMap<[u8; 32], String>,
    order: VecDeque<[u8; 32]>,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
enum SignerError {
    #[error("{}: {cause}", path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("the key in {} cannot be read: {cause}", path.display())]
    Key { path: PathBuf, cause: rsa::pkcs8::Error },
    #[error("a key cannot be made: {0}")]
    Rsa(#[from] rsa::Error),
    #[error("the key cannot be written: {0}")]
    Encode(#[from] rsa::pkcs8::Error),
    #[error("the public key cannot be written: {0}")]
    EncodePublic(#[from] rsa::pkcs1::Error),
    #[error("the certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
}

impl Signer {
    /// Keeps its key in `directory`; without one it has another key in each life.
    pub(crate) fn new(directory: Option<PathBuf>) -> Self {
        Self { directory, keys: OnceCell::new(), remembered: Mutex::default() }
    }

    /// The key: read, or made where there is none.
    pub(crate) async fn keys(&self) -> Result<Arc<Keys>, Fault> {
        let directory = self.directory.clone();
        let open = || async {
            let opened = tokio::task::spawn_blocking(move || Keys::open(directory.as_deref())).await;
            match opened {
                Ok(Ok(keys)) => Ok(Arc::new(keys)),
                Ok(Err(error)) => {
                    tracing::error!(%error, "there is no key to sign notifications with");
                    // Where the server keeps its files is for its log.
                    Err(Fault::new(Code::InternalFailure, NO_KEY))
                }
                Err(_) => Err(Fault::internal()),
            }
        };
        self.keys.get_or_try_init(open).await.cloned()
    }

    /// Signs a text: version 1 by its SHA-1, version 2 by its SHA-256.
    pub(crate) fn sign(&self, keys: &Keys, version: u8, text: &str) -> Result<String, Fault> {
        let remembered: [u8; 32] = Sha256::new().chain_update([version]).chain_update(text).finalize().into();
        if let Some(signature) = self.remembered.lock().by_text.get(&remembered) {
            return Ok(signature.clone());
        }
        let signature = keys.sign(version, text.as_bytes()).map_err(|error| {
            tracing::error!(%error, "a notification cannot be signed");
            Fault::internal()
        })?;
        let signature = STANDARD.encode(signature);
        self.remembered.lock().add(remembered, signature.clone());
        Ok(signature)
    }

    /// The certificate, where it is asked for at its path.
    pub(crate) async fn certificate_at(&self, path: &str) -> Option<String> {
        path.starts_with(PATH).then_some(())?;
        let keys = self.keys().await.ok()?;
        (keys.path == path).then(|| keys.certificate.clone())
    }
}

impl Remembered {
    fn add(&mut self, text: [u8; 32], signature: String) {
        if self.by_text.insert(text, signature).is_none() {
            self.order.push_back(text);
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.by_text.remove(&oldest);
            }
        }
    }
}

impl Keys {
    fn open(directory: Option<&Path>) -> Result<Self, SignerError> {
        let Some(directory) = directory else {
            let key = RsaPrivateKey::new(&mut rand::rng(), KEY_BITS)?;
            let certificate = certificate(&key)?;
            return Ok(Self::new(key, certificate));
        };
        let at = |path: &Path| {
            let path = path.to_owned();
            move |cause| SignerError::File { path, cause }
        };
        std::fs::create_dir_all(directory).map_err(at(directory))?;
        let (key_path, certificate_path) = (directory.join(KEY_FILE), directory.join(CERTIFICATE_FILE));
        let key = match std::fs::read_to_string(&key_path) {
            Ok(pem) => RsaPrivateKey::from_pkcs8_pem(&pem)
                .map_err(|cause| SignerError::Key { path: key_path.clone(), cause })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = RsaPrivateKey::new(&mut rand::rng(), KEY_BITS)?;
                let pem = key.to_pkcs8_pem(LineEnding::LF)?;
                write(&key_path, pem.as_bytes(), 0o600).map_err(at(&key_path))?;
                tracing::info!("made a key to sign notifications with, in {}", key_path.display());
                key
            }
            Err(error) => return Err(at(&key_path)(error)),
        };
        let certificate = match std::fs::read_to_string(&certificate_path) {
            Ok(pem) => pem,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let pem = certificate(&key)?;
                write(&certificate_path, pem.as_bytes(), 0o644).map_err(at(&certificate_path))?;
                pem
            }
            Err(error) => return Err(at(&certificate_path)(error)),
        };
        Ok(Self::new(key, certificate))
    }

    fn new(key: RsaPrivateKey, certificate: String) -> Self {
        let fingerprint: [u8; 32] = Sha256::digest(&certificate).into();
        let fingerprint = fingerprint.iter().take(16).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        Self { key, certificate, path: format!("{PATH}{fingerprint}.pem") }
    }

    /// Where the certificate is served.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    fn sign(&self, version: u8, text: &[u8]) -> Result<Vec<u8>, rsa::Error> {
        match version {
            1 => self.key.sign(Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(text)),
            _ => self.key.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(text)),
        }
    }
}

/// Writes a file so that it is there whole, or not at all.
fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    std::fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// A certificate of the key that the key itself vouches for.
fn certificate(key: &RsaPrivateKey) -> Result<String, SignerError> {
    /// The key as the library for certificates wants it.
    struct Own<'a> {
        key: &'a RsaPrivateKey,
        public: Vec<u8>,
    }

    impl rcgen::PublicKeyData for Own<'_> {
        fn der_bytes(&self) -> &[u8] {
            &self.public
        }

        fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
            &rcgen::PKCS_RSA_SHA256
        }
    }

    impl rcgen::SigningKey for Own<'_> {
        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
            let signature = self.key.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message));
            signature.map_err(|_| rcgen::Error::RemoteKeyError)
        }
    }

    let public = key.to_public_key().to_pkcs1_der()?;
    let own = Own { key, public: public.as_bytes().to_vec() };
    let mut params = rcgen::CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(rcgen::DnType::CommonName, "Weir notifications");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2120, 1, 1);
    Ok(params.self_signed(&own)?.pem())
}

#[cfg(test)]
mod tests {
    use rsa::pkcs1v15::Pkcs1v15Sign as Scheme;

    use super::*;

    #[tokio::test]
    async fn signatures_are_those_of_the_key_and_the_key_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sns");
        let signer = Signer::new(Some(path.clone()));
        let keys = signer.keys().await.unwrap();
        let public = keys.key.to_public_key();
        let signature = STANDARD.decode(signer.sign(&keys, 1, "text").unwrap()).unwrap();
        public.verify(Scheme::new::<Sha1>(), &Sha1::digest("text"), &signature).unwrap();
        let signature = STANDARD.decode(signer.sign(&keys, 2, "text").unwrap()).unwrap();
        public.verify(Scheme::new::<Sha256>(), &Sha256::digest("text"), &signature).unwrap();
        assert!(keys.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        let again = Signer::new(Some(path.clone()));
        assert_eq!(again.keys().await.unwrap().path(), keys.path());
        assert_eq!(again.certificate_at(keys.path()).await.as_ref(), Some(&keys.certificate));
        assert_eq!(again.certificate_at("/sns/SimpleNotificationService-x.pem").await, None);
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path.join(KEY_FILE)).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_read_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(KEY_FILE), "no key").unwrap();
        let signer = Signer::new(Some(directory.path().to_owned()));
        assert!(signer.keys().await.is_err());
        assert_eq!(std::fs::read(directory.path().join(KEY_FILE)).unwrap(), b"no key");
    }
}
