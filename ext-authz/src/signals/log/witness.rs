//! A small file beside the log that says how far the log has come, so that an old copy of it is found out. It never
//! says more than the log holds, so a crash is no false alarm.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use authz_core::signal::Seq;
use sha2::{Digest, Sha256};

use super::{
    Head,
    error::LogError,
    file::{OWNER_ONLY, sync_directory},
    record::Chain,
};

/// The file, and what it says. Two slots take turns, so that one is whole whenever the power goes.
#[derive(Debug)]
pub(super) struct Witness {
    file: File,
    path: PathBuf,
    head: Head,
    next_slot: usize,
}

impl Witness {
    /// Where the witness of the log at `log` is.
    pub(super) fn path(log: &Path) -> PathBuf {
        let mut name = log.as_os_str().to_owned();
        name.push(".head");
        name.into()
    }

    /// Reads the witness of the log at `log`, if it has one.
    pub(super) fn open(log: &Path) -> Result<Option<Self>, LogError> {
        let path = Self::path(log);
        match Self::read(&path) {
            Ok(Some((file, [first, second]))) => {
                let (head, next_slot) = match (first, second) {
                    (Some(first), Some(second)) if first.seq >= second.seq => (first, 1),
                    (Some(first), None) => (first, 1),
                    (_, Some(second)) => (second, 0),
                    (None, None) => {
                        let why = "neither of its two entries is whole".to_owned();
                        return Err(LogError::Witness { path: path.into(), why });
                    }
                };
                Ok(Some(Self { file, path, head, next_slot }))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(LogError::io(&path, error)),
        }
    }

    /// Writes a witness for the log at `log`; it is whole from the moment on at which it has its name.
    pub(super) fn create(log: &Path, head: Head) -> Result<Self, LogError> {
        let path = Self::path(log);
        let file = Self::write_new(&path, head).map_err(|error| LogError::io(&path, error))?;
        Ok(Self { file, path, head, next_slot: 1 })
    }

    /// How far the log has come at least.
    pub(super) fn head(&self) -> Head {
        self.head
    }

    /// Notes that the log has come to `head`; when it returns, that is on the disk.
    pub(super) fn advance(&mut self, head: Head) -> Result<(), LogError> {
        if head == self.head {
            return Ok(());
        }
        let offset = u64::try_from(self.next_slot * SLOT).unwrap_or(0);
        let written = self.file.write_all_at(&to_bytes(head), offset).and_then(|()| self.file.sync_data());
        written.map_err(|error| LogError::io(&self.path, error))?;
        self.head = head;
        self.next_slot ^= 1;
        Ok(())
    }

    /// The refusal of a log that lacks what this says.
    pub(super) fn contradicts(&self, log: &Path, why: String) -> LogError {
        LogError::Stale { path: log.into(), witness: Arc::from(&*self.path), why }
    }

    /// Puts another file in place of its own.
    #[cfg(test)]
    pub(super) fn exchange_file(&mut self, file: File) -> File {
        std::mem::replace(&mut self.file, file)
    }

    fn read(path: &Path) -> io::Result<Option<(File, [Option<Head>; 2])>> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = Vec::new();
        (&file).take(2 * SLOT as u64).read_to_end(&mut bytes)?;
        let slot = |at: usize| bytes.get(at..).and_then(from_bytes);
        let slots = [slot(0), slot(SLOT)];
        Ok(Some((file, slots)))
    }

    fn write_new(path: &Path, head: Head) -> io::Result<File> {
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(true).mode(OWNER_ONLY).open(&new)?;
        let mut bytes = to_bytes(head).to_vec();
        // Room for both, so that a full disk does not stop what is written in place.
        bytes.resize(2 * SLOT, 0);
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        sync_directory(path)?;
        Ok(file)
    }
}

fn to_bytes(head: Head) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    let content = MAGIC.into_iter().chain(head.seq.0.to_be_bytes()).chain(*head.chain.as_bytes());
    bytes.iter_mut().zip(content).for_each(|(to, from)| *to = from);
    if let Some((content, check)) = bytes.split_last_chunk_mut::<32>() {
        *check = Sha256::digest(content).into();
    }
    bytes
}

fn from_bytes(bytes: &[u8]) -> Option<Head> {
    let whole: &[u8; LENGTH] = bytes.first_chunk()?;
    let rest = whole.strip_prefix(&MAGIC)?;
    let (seq, rest) = rest.split_first_chunk()?;
    let head = Head { seq: Seq(u64::from_be_bytes(*seq)), chain: Chain::from_bytes(*rest.first_chunk()?) };
    (to_bytes(head) == *whole).then_some(head)
}

const MAGIC: [u8; 8] = *b"csghead1";
const LENGTH: usize = 8 + 8 + Chain::LENGTH + 32;
/// A block of the disk each: writing one can't hurt the other.
const SLOT: usize = 4096;
