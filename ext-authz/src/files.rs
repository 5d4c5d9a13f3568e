//! Noticing that files changed, by their content; it neither parses them nor knows what they are for.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::AccessKind};
use tokio::{sync::Notify, task::spawn_blocking, time::timeout};

use self::survey::Survey;

mod survey;

/// Waits for the content of some files or directories to change.
///
/// Directories are watched instead of files, because editors and Kubernetes replace files by rename or by a symbolic
/// link; what the kernel does not report (network file systems, exhausted watches) is found by looking every few seconds.
pub struct FileWatch {
    paths: Arc<[PathBuf]>,
    seen: Survey,
    watched: BTreeSet<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    stirred: Arc<Notify>,
    pending: bool,
}

/// How long files must be left alone before they are read: a writer may need several steps.
const QUIET: Duration = Duration::from_millis(100);

/// How long a busy directory can put off the reading.
const LONGEST_UNREST: Duration = Duration::from_secs(1);

/// How often files are read although nothing was reported.
const POLL_EVERY: Duration = Duration::from_secs(3);

/// Watches files and directories (their direct entries), whether or not they exist yet.
///
/// What is compared is the state at this call: load the files after it, and no change is missed.
///
/// # Errors
/// A path is empty, or relative while the current directory is unknown.
pub fn watch(paths: Vec<PathBuf>) -> io::Result<FileWatch> {
    let paths = paths.into_iter().map(std::path::absolute).collect::<io::Result<Arc<[PathBuf]>>>()?;
    let stirred = Arc::new(Notify::new());
    let mut watch = FileWatch {
        seen: Survey::default(),
        watched: BTreeSet::new(),
        watcher: watcher(Arc::clone(&stirred)),
        pending: false,
        paths,
        stirred,
    };
    // Watches stand before the first reading, so that nothing falls between them.
    watch.arm(survey::directories(&watch.paths));
    watch.seen = survey::read(&watch.paths);
    Ok(watch)
}

impl FileWatch {
    /// Returns once the content of any path differs from what it was at the last return (or at [`watch`]).
    ///
    /// May be dropped and called again without missing a change.
    pub async fn changed(&mut self) {
        loop {
            if !self.pending {
                let _ = timeout(POLL_EVERY, self.stirred.notified()).await;
                self.pending = true;
            }
            self.settle().await;
            let Some(now) = self.read().await else { continue };
            self.pending = false;
            if now != self.seen {
                self.seen = now;
                return;
            }
        }
    }

    async fn settle(&self) {
        let quiet = async { while timeout(QUIET, self.stirred.notified()).await.is_ok() {} };
        let _ = timeout(LONGEST_UNREST, quiet).await;
    }

    async fn read(&mut self) -> Option<Survey> {
        let paths = Arc::clone(&self.paths);
        let reading = spawn_blocking(move || (survey::directories(&paths), survey::read(&paths)));
        let (directories, now) = reading.await.ok()?;
        self.arm(directories);
        Some(now)
    }

    /// Follows links to where they lead now; directories that come back are watched again.
    fn arm(&mut self, directories: BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.watched.difference(&directories) {
            let _ = watcher.unwatch(gone);
        }
        for directory in &directories {
            if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive)
                && !self.watched.contains(directory)
            {
                log_polled(directory, &error);
            }
        }
        self.watched = directories;
    }
}

fn watcher(stirred: Arc<Notify>) -> Option<RecommendedWatcher> {
    let created = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.as_ref().map_or(true, may_change_content) {
            stirred.notify_one();
        }
    });
    created.inspect_err(|error| tracing::warn!(%error, "no file notifications, files are polled")).ok()
}

/// Our own reading opens files, which is reported too.
fn may_change_content(event: &Event) -> bool {
    !matches!(event.kind, EventKind::Access(AccessKind::Open(_) | AccessKind::Read))
}

fn log_polled(directory: &Path, error: &notify::Error) {
    tracing::warn!(directory = %directory.display(), %error, "directory can't be watched, it is polled");
}

#[cfg(test)]
mod tests;
