//! TLS by certificate files, which are read again once they have changed.
//!
//! Nothing watches the files: each new connection looks at their metadata first, so that an idle server costs nothing.
//! Files that cannot be used leave what was read before in force, and are reported once.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Where a certificate and its key are kept, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by those that vouch for it.
    pub certificate: PathBuf,
    /// The certificate's private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// Why certificate files cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// `tls.unreadable`: a file is absent, may not be read, or is no PEM of the kind that it should be.
    #[error("cannot read the {what} in {path}: {cause}", path = path.display())]
    Unreadable {
        /// `certificate` or `key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: pem::Error,
    },
    /// `tls.no_certificate`: a file has no certificate in it.
    #[error("there is no certificate in {}", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// `tls.unusable`: certificate and key do not belong together, or are of a kind that is not supported.
    #[error(
        "the certificate in {certificate} cannot be used with the key in {key}: {cause}",
        certificate = files.certificate.display(),
        key = files.key.display()
    )]
    Unusable {
        /// The files.
        files: TlsFiles,
        /// What is wrong.
        cause: rustls::Error,
    },
}

/// Accepts TLS with what the files hold.
pub(crate) struct Tls {
    files: TlsFiles,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    acceptor: TlsAcceptor,
    /// How the files looked when they were read last, with or without success.
    stamp: Stamp,
}

/// What tells one version of the files from the next.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp([Option<(SystemTime, u64, u64)>; 2]);

impl Tls {
    /// Reads the files for the first time.
    pub(crate) fn open(files: TlsFiles) -> Result<Self, TlsError> {
        // Looked at first: a change while they are read is found later.
        let stamp = Stamp::of(&files);
        let acceptor = read(&files)?;
        Ok(Self { files, loaded: Mutex::new(Loaded { acceptor, stamp }) })
    }

    /// What a new connection is accepted with.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let stamp = Stamp::of(&self.files);
        let mut loaded = self.loaded();
        if loaded.stamp != stamp {
            match read(&self.files) {
                Ok(acceptor) => {
                    tracing::info!(certificate = %self.files.certificate.display(), "the certificate was read again");
                    loaded.acceptor = acceptor;
                }
                // As when one of the two files is replaced before the other.
                Err(error) => tracing::error!(%error, "the changed certificate is not used; the one before stays"),
            }
            loaded.stamp = stamp;
        }
        loaded.acceptor.clone()
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stamp {
    fn of(files: &TlsFiles) -> Self {
        let stamp = |path: &Path| -> io::Result<_> {
            let metadata = fs::metadata(path)?;
            Ok((metadata.modified()?, metadata.len(), metadata.ino()))
        };
        Self([&files.certificate, &files.key].map(|path| stamp(path).ok()))
    }
}

fn read(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let unreadable = |what, path: &Path| {
        let path = path.to_owned();
        move |cause| TlsError::Unreadable { what, path, cause }
    };
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable("certificate", &files.certificate))?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { path: files.certificate.clone() });
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(unreadable("key", &files.key))?;
    let unusable = |cause| TlsError::Unusable { files: files.clone(), cause };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
