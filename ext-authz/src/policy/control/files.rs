//! Control policies from files, or the built-in ones where none are named.

use std::path::{Path, PathBuf};

use super::{ControlPolicies, compile, default_policies};
use crate::policy::files::{self, PolicyError};

/// Where control policies are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlFiles {
    /// Files, directories or directories with a pattern, as for the policies of requests; none: the built-in policy.
    pub policies: Vec<PathBuf>,
    /// The name of the service, and with it of the sidecar.
    pub service: String,
}

impl ControlFiles {
    /// Reads and compiles them. Blocks, so not for async threads.
    ///
    /// # Errors
    /// Every file that can't be read; or, if all can, everything that is wrong with what they say.
    pub fn load(&self) -> Result<ControlPolicies, PolicyError> {
        if self.policies.is_empty() {
            return Ok(default_policies(&self.service)?);
        }
        let sources = files::read_policies(&self.policies).map_err(PolicyError::Unreadable)?;
        Ok(compile(&sources, &self.service)?)
    }

    /// What to watch: the files and, for patterns, their directories.
    pub fn watched(&self) -> Vec<PathBuf> {
        self.policies.iter().map(|path| files::watched(path)).map(Path::to_path_buf).collect()
    }
}
