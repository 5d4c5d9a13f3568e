//! Trust bundles in files, read again when they change. A file that can't be used changes nothing but the log.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use authz_core::identity::TrustDomain;
use thiserror::Error;
use tokio::task::spawn_blocking;

use super::bundle::{Bundle, Bundles, InvalidBundle, MAX_BUNDLE_BYTES};
use crate::files::{self, FileWatch};

/// Where the bundle of a trust domain is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleSource {
    /// Whose bundle it is: configuration says so, no bundle does (SPIFFE Trust Domain and Bundle §5).
    pub trust_domain: TrustDomain,
    /// PEM or SPIFFE bundle JSON.
    pub file: PathBuf,
    /// PEM with CA certificates that may complete a path and are trusted for nothing by themselves.
    pub intermediates: Option<PathBuf>,
}

/// The configured files and the bundles last accepted from them.
pub struct BundleFiles {
    sources: Arc<[BundleSource]>,
    watch: FileWatch,
    bundles: Bundles,
}

impl BundleFiles {
    /// Reads every file. At the start there is no old bundle to keep, so one bad file is an error.
    ///
    /// # Errors
    /// All files that can't be read or used, or that files can't be watched at all.
    pub fn load(sources: Vec<BundleSource>) -> Result<Self, InvalidBundleFiles> {
        let watch = files::watch(sources.iter().flat_map(BundleSource::files).cloned().collect());
        let watch = watch
            .map_err(|error| InvalidBundleFiles(sources.iter().map(|source| unwatchable(source, &error)).collect()))?;
        let (bundles, refused) = read(&sources, &Bundles::default());
        if refused.is_empty() {
            Ok(Self { sources: sources.into(), watch, bundles })
        } else {
            Err(InvalidBundleFiles(refused))
        }
    }

    /// What is in force.
    pub fn bundles(&self) -> &Bundles {
        &self.bundles
    }

    /// Waits until a file changes, then reads all of them. May be dropped and called again without missing a change.
    pub async fn changed(&mut self) -> Reload {
        self.watch.changed().await;
        let (sources, old) = (Arc::clone(&self.sources), self.bundles.clone());
        let (bundles, refused) =
            spawn_blocking(move || read(&sources, &old)).await.unwrap_or_else(|_| (self.bundles.clone(), Vec::new()));
        for file in &refused {
            tracing::error!(error = %file, "trust bundle refused, the old one stays in force");
        }
        let is_new = bundles != self.bundles;
        self.bundles = bundles;
        Reload { bundles: is_new.then(|| self.bundles.clone()), refused }
    }
}

/// What came of reading the files again.
#[derive(Debug)]
pub struct Reload {
    /// All bundles, if any of them is another than before.
    pub bundles: Option<Bundles>,
    /// Files that were not accepted; what they held before stays in force.
    pub refused: Vec<InvalidBundleFile>,
}

/// A bundle file that was not accepted.
#[derive(Debug, Error)]
#[error("trust bundle {}: {cause}", .file.display())]
pub struct InvalidBundleFile {
    /// Whose bundle it should hold.
    pub trust_domain: TrustDomain,
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub cause: BundleFileCause,
}

/// Why a bundle file was not accepted.
#[derive(Debug, Error)]
pub enum BundleFileCause {
    /// Its content is no bundle.
    #[error(transparent)]
    Content(#[from] InvalidBundle),
    /// It can't be read.
    #[error("can't be read: {0}")]
    Io(#[from] io::Error),
}

/// Bundle files that were not accepted, all of them.
#[derive(Debug)]
pub struct InvalidBundleFiles(pub Vec<InvalidBundleFile>);

impl fmt::Display for InvalidBundleFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for InvalidBundleFiles {}

impl BundleSource {
    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.file).chain(&self.intermediates)
    }
}

/// Every source read; where that fails, what `old` has.
fn read(sources: &[BundleSource], old: &Bundles) -> (Bundles, Vec<InvalidBundleFile>) {
    let mut bundles = Vec::new();
    let mut refused = Vec::new();
    for source in sources {
        let trust_domain = &source.trust_domain;
        match read_one(source) {
            Ok(bundle) => bundles.push((trust_domain.clone(), Arc::new(bundle))),
            Err(error) => {
                refused.push(error);
                bundles.extend(old.get(trust_domain).map(|bundle| (trust_domain.clone(), Arc::clone(bundle))));
            }
        }
    }
    (Bundles::new(bundles), refused)
}

fn read_one(source: &BundleSource) -> Result<Bundle, InvalidBundleFile> {
    let refuse = |file: &Path, cause: BundleFileCause| InvalidBundleFile {
        trust_domain: source.trust_domain.clone(),
        file: file.to_owned(),
        cause,
    };
    let parsed = content(&source.file).and_then(|bytes| Ok(Bundle::parse(&bytes)?));
    let bundle = parsed.map_err(|cause| refuse(&source.file, cause))?;
    let Some(file) = &source.intermediates else { return Ok(bundle) };
    let complete = content(file).and_then(|bytes| Ok(bundle.with_intermediates(&bytes)?));
    complete.map_err(|cause| refuse(file, cause))
}

/// One byte more than allowed is enough to be refused, however long the file is.
pub(super) fn content(file: &Path) -> Result<Vec<u8>, BundleFileCause> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MAX_BUNDLE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unwatchable(source: &BundleSource, error: &io::Error) -> InvalidBundleFile {
    let BundleSource { trust_domain, file, .. } = source.clone();
    InvalidBundleFile { trust_domain, file, cause: io::Error::new(error.kind(), error.to_string()).into() }
}

#[cfg(test)]
mod tests;
