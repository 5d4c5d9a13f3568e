//! The database under the log: closed after a failure, opened again by name. It knows nothing of what is stored.

use std::{
    fmt,
    path::Path,
    sync::{PoisonError, RwLock},
};

use redb::Database;

use super::error::{Fault, LogError, closed};

/// How a database is opened; tests put a failing disk under one.
pub(super) type Opener = Box<dyn Fn(&Path) -> Result<Database, LogError> + Send + Sync>;

/// A database that can be closed and opened again while others hold this.
pub(super) struct Store {
    path: Box<Path>,
    opener: Opener,
    /// Nothing after a failed attempt to open it again.
    db: RwLock<Option<Database>>,
}

impl Store {
    pub(super) fn open(path: &Path, opener: Opener) -> Result<Self, LogError> {
        let db = RwLock::new(Some(opener(path)?));
        Ok(Self { path: path.into(), opener, db })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Works on the database; it stays open meanwhile.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, Fault>) -> Result<T, LogError> {
        // A panic of a reader leaves the database as it was.
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_ref().ok_or_else(|| LogError::io(&self.path, closed()))?;
        work(db).map_err(|error| error.at(&self.path))
    }

    /// Closes the database and opens what the disk holds; waits for those who work on it.
    pub(super) fn reopen(&self) -> Result<(), LogError> {
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        // The lock on the file goes with it.
        *db = None;
        *db = Some((self.opener)(&self.path)?);
        Ok(())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}
