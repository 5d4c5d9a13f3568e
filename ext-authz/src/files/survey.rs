//! What files hold at one moment, as a digest, and which directories to watch for it; blocking, so never on an async thread.

use std::{
    collections::BTreeSet,
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// The state of some paths, comparable.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Survey([u8; 32]);

/// Longest part of a file that is compared; nothing we read is as long.
const MAX_COMPARED: u64 = 64 * 1024 * 1024;

/// Reads files whole and, of the direct entries of directories, what tells a replaced or rewritten file from its predecessor.
pub(super) fn read(paths: &[PathBuf]) -> Survey {
    let mut hash = Sha256::new();
    for path in paths {
        if let Err(error) = put_path(path, &mut hash) {
            put(&mut hash, error.kind().to_string().as_bytes());
        }
    }
    Survey(hash.finalize().into())
}

/// The directories in which a change of `paths` shows, links followed.
pub(super) fn directories(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut directories = BTreeSet::new();
    for path in paths {
        let real = fs::canonicalize(path).ok();
        if real.as_ref().is_some_and(|real| real.is_dir()) {
            directories.insert(path.clone());
        }
        let homes = [Some(path.as_path()), real.as_deref()].into_iter().flatten().filter_map(Path::parent);
        directories.extend(homes.filter(|home| home.is_dir()).map(Path::to_path_buf));
    }
    directories
}

fn put_path(path: &Path, hash: &mut Sha256) -> io::Result<()> {
    put(hash, path.as_os_str().as_encoded_bytes());
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return put_directory(path, hash);
    }
    if metadata.is_file() {
        // A pipe or device is never read: that could block for ever.
        let mut content = Vec::new();
        File::open(path)?.take(MAX_COMPARED).read_to_end(&mut content)?;
        put(hash, &content);
    }
    Ok(())
}

fn put_directory(path: &Path, hash: &mut Sha256) -> io::Result<()> {
    let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    entries.sort_unstable();
    for entry in entries {
        put(hash, entry.as_os_str().as_encoded_bytes());
        match fs::metadata(&entry) {
            Ok(metadata) => put_metadata(&metadata, hash),
            Err(error) => put(hash, error.kind().to_string().as_bytes()),
        }
    }
    Ok(())
}

fn put_metadata(metadata: &Metadata, hash: &mut Sha256) {
    for number in [metadata.dev(), metadata.ino(), metadata.len()] {
        hash.update(number.to_le_bytes());
    }
    for number in [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()] {
        hash.update(number.to_le_bytes());
    }
}

/// One part with its length, so that parts can't run into each other.
fn put(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_le_bytes());
    hash.update(part);
}
