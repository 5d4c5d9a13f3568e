//! Opening the log's file: owner only, exclusive, checked. It knows nothing of what is stored.

use std::{
    fs::{File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use redb::{Database, backends::FileBackend};

use super::error::{Fault, LogError};

/// Opens or creates the database at `path`.
pub(super) fn open(path: &Path) -> Result<Database, LogError> {
    let file = prepare(path).map_err(|error| Fault::from(redb::Error::Io(error)).at(path))?;
    let backend = FileBackend::new(file).map_err(|error| Fault::from(error).at(path))?;
    Database::builder()
        .set_check_integrity_on_open(true)
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(backend)
        .map_err(|error| Fault::from(error).at(path))
}

fn prepare(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(OWNER_ONLY).open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode != OWNER_ONLY {
        tracing::warn!(path = %path.display(), mode = format!("{mode:o}"), "signal log was open to others, now mode 600");
        file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
    }
    // A file is only as durable as its name.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()?;
    Ok(file)
}

const OWNER_ONLY: u32 = 0o600;

/// Enough for the pages that appends touch; reading the whole log is rare.
const CACHE_BYTES: usize = 8 << 20;
