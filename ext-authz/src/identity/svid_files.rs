//! Our own SVID in two files, read again when they change. It puts nothing in force: whoever asks decides what a pair that can't be used means.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use thiserror::Error;
use tokio::task::spawn_blocking;

use super::{
    own::{InvalidOwnSvid, OwnSvid},
    pem::{self, InvalidPem},
};
use crate::files::{self, FileWatch};

/// Where our own SVID is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SvidSource {
    /// The chain, PEM, leaf first.
    pub certificate: PathBuf,
    /// Its private key, PKCS#8 in PEM, readable for its owner only.
    pub key: PathBuf,
}

/// The two files, watched.
pub struct SvidFiles {
    source: SvidSource,
    watch: FileWatch,
}

/// A pair of files that is no SVID of ours.
#[derive(Debug, Error)]
pub enum InvalidSvidFiles {
    /// The certificate file is no PEM we read.
    #[error("{}: {cause}; write the chain as PEM, leaf first", .file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        cause: InvalidPem,
    },
    /// Somebody else than its owner can use the key.
    #[error("{}: permissions are {mode:04o}, so that others can use this private key; run chmod 600 on it", .file.display())]
    Exposed {
        /// The file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is no key in the key file.
    #[error("{}: has no private key in PKCS#8; write -----BEGIN PRIVATE KEY-----, as `openssl pkcs8 -topk8 -nocrypt` does", .file.display())]
    Key {
        /// The file.
        file: PathBuf,
    },
    /// The two do not make an SVID, or not yet: one may have been written and the other not.
    #[error("{}: {cause}", .file.display())]
    Pair {
        /// The certificate file.
        file: PathBuf,
        /// What is wrong.
        cause: InvalidOwnSvid,
    },
    /// A file can't be read.
    #[error("{}: can't be read: {cause}", .file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

impl SvidSource {
    /// Reads both files; blocks.
    ///
    /// # Errors
    /// When either can't be read or used, they do not belong together, or others than its owner can use the key.
    pub fn read(&self) -> Result<OwnSvid, InvalidSvidFiles> {
        let Self { certificate, key } = self;
        let text = String::from_utf8_lossy(&read(certificate, &mut open(certificate)?)?).into_owned();
        let chain = pem::certificates(&text, MOST_CERTIFICATES)
            .map_err(|cause| InvalidSvidFiles::Certificate { file: certificate.clone(), cause })?;
        let key = read(key, &mut open_private(key)?)?;
        let key =
            PrivatePkcs8KeyDer::from_pem_slice(&key).map_err(|_| InvalidSvidFiles::Key { file: self.key.clone() })?;
        OwnSvid::new(chain, &PrivateKeyDer::Pkcs8(key))
            .map_err(|cause| InvalidSvidFiles::Pair { file: certificate.clone(), cause })
    }

    /// Refuses a key file that others than its owner can use; one that is not there yet is for [`SvidSource::read`].
    ///
    /// # Errors
    /// [`InvalidSvidFiles::Exposed`] only.
    pub fn check_key(&self) -> Result<(), InvalidSvidFiles> {
        match open_private(&self.key) {
            Err(exposed @ InvalidSvidFiles::Exposed { .. }) => Err(exposed),
            _ => Ok(()),
        }
    }
}

impl SvidFiles {
    /// Watches both files, whether or not they exist yet.
    ///
    /// # Errors
    /// As [`files::watch`].
    pub fn watch(source: SvidSource) -> io::Result<Self> {
        let watch = files::watch(vec![source.certificate.clone(), source.key.clone()])?;
        Ok(Self { source, watch })
    }

    /// What the files hold now.
    ///
    /// # Errors
    /// As [`SvidSource::read`].
    pub async fn read(&self) -> Result<OwnSvid, InvalidSvidFiles> {
        let source = self.source.clone();
        let file = source.certificate.clone();
        let lost = |error| InvalidSvidFiles::Unreadable { file, cause: io::Error::other(error) };
        spawn_blocking(move || source.read()).await.map_err(lost)?
    }

    /// Waits until the content of a file changes. May be dropped and called again without missing a change.
    pub async fn changed(&mut self) {
        self.watch.changed().await;
    }
}

fn open(file: &Path) -> Result<File, InvalidSvidFiles> {
    File::open(file).map_err(|cause| InvalidSvidFiles::Unreadable { file: file.to_owned(), cause })
}

/// The open file is looked at, not its name: what is read is what was checked.
fn open_private(file: &Path) -> Result<File, InvalidSvidFiles> {
    let opened = open(file)?;
    let metadata = opened.metadata().map_err(|cause| InvalidSvidFiles::Unreadable { file: file.to_owned(), cause })?;
    match metadata.permissions().mode() & 0o777 {
        mode if mode & 0o077 != 0 => Err(InvalidSvidFiles::Exposed { file: file.to_owned(), mode }),
        _ => Ok(opened),
    }
}

fn read(file: &Path, from: &mut File) -> Result<Vec<u8>, InvalidSvidFiles> {
    let mut bytes = Vec::new();
    let read = from.take(MAX_FILE_BYTES).read_to_end(&mut bytes);
    read.map_err(|cause| InvalidSvidFiles::Unreadable { file: file.to_owned(), cause })?;
    Ok(bytes)
}

/// A longer file is cut, and then no PEM.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A leaf and its intermediates; more is a mistake.
const MOST_CERTIFICATES: usize = 16;

#[cfg(test)]
mod tests;
