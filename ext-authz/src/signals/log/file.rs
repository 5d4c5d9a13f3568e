//! Opening the log's file: owner only, exclusive, checked. It knows nothing of what is stored.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use redb::{Database, backends::FileBackend};

use super::error::{Fault, LogError};

/// Opens or creates the database at `path`.
pub(super) fn open(path: &Path) -> Result<Database, LogError> {
    let file = prepare(path)?;
    let backend = FileBackend::new(file).map_err(|error| Fault::from(error).at(path))?;
    Database::builder()
        .set_check_integrity_on_open(true)
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(backend)
        .map_err(|error| Fault::from(error).at(path))
}

fn prepare(path: &Path) -> Result<File, LogError> {
    let refused = |error| LogError::io(path, error);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(OWNER_ONLY);
    let file = options.open(path).map_err(refused)?;
    let metadata = file.metadata().map_err(refused)?;
    if !metadata.is_file() {
        return Err(refused(io::Error::new(io::ErrorKind::IsADirectory, "it is not a regular file")));
    }
    // Without /proc nobody says who we are; the mode is checked all the same.
    if let Some(own) = fs::metadata("/proc/self").ok().map(|it| it.uid()).filter(|own| *own != metadata.uid()) {
        return Err(LogError::Owner { path: path.into(), owner: metadata.uid(), own });
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode != OWNER_ONLY {
        tracing::warn!(path = %path.display(), mode = format!("{mode:o}"), "signal log was open to others, now mode 600");
        file.set_permissions(Permissions::from_mode(OWNER_ONLY)).map_err(refused)?;
    }
    // A file is only as durable as its name.
    sync_directory(path).map_err(refused)?;
    if metadata.len() >= LONG_CHECK_BYTES {
        tracing::info!(path = %path.display(), bytes = metadata.len(), "checking every page of the signal log");
    }
    Ok(file)
}

/// Makes the name `path` durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

pub(super) const OWNER_ONLY: u32 = 0o600;

/// Enough for the pages that appends touch; reading the whole log is rare.
const CACHE_BYTES: usize = 8 << 20;
/// From this size on opening takes long enough to say so.
const LONG_CHECK_BYTES: u64 = 64 << 20;
