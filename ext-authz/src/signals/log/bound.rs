//! Which stream a log is the replica of, remembered in its file. It knows nothing of streams.

use std::path::Path;

use redb::{Durability, ReadableDatabase};

use super::{Log, LogError, tables::META};

impl Log {
    /// The number of the stream that this log is a replica of, if it is one.
    pub fn stream(&self) -> Result<Option<u64>, LogError> {
        self.store.with(|db| Ok(db.begin_read()?.open_table(META)?.get(STREAM)?.map(|found| found.value())))
    }

    /// Makes this log the replica of the stream with this number; when it returns, that is on the disk.
    pub fn bind(&self, stream: u64) -> Result<(), LogError> {
        self.set_stream(Some(stream))
    }

    /// Makes this log one of its own again, which goes on where the replica ended.
    pub fn unbind(&self) -> Result<(), LogError> {
        self.set_stream(None)
    }

    /// Where it is.
    pub(in crate::signals) fn path(&self) -> &Path {
        self.store.path()
    }

    fn set_stream(&self, stream: Option<u64>) -> Result<(), LogError> {
        let _alone = self.lock_tip();
        self.store.with(|db| {
            let mut transaction = db.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            {
                let mut meta = transaction.open_table(META)?;
                match stream {
                    Some(stream) => drop(meta.insert(STREAM, stream)?),
                    None => drop(meta.remove(STREAM)?),
                }
            }
            Ok(transaction.commit()?)
        })
    }
}

const STREAM: &str = "stream";
