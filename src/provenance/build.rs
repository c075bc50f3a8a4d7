//! The build of this program: version, commit, and a digest of the sources (see build.rs in the root).

use serde::{Deserialize, Serialize};

/// The build of a program. Two builds with the same [`id`](Self::id) compute the same bits on the same device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// The crate's version.
    pub version: String,
    /// The git commit; `None` where the sources were not in a git repository.
    pub commit: Option<String>,
    /// Whether the sources differed from those of the commit.
    pub dirty: bool,
    /// A digest of the sources, in 16 hexadecimal digits: it tells two dirty builds of a commit apart.
    pub source: String,
}

impl Build {
    /// The build of this program.
    pub fn current() -> Self {
        let commit = env!("GRAN_TED_COMMIT");
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            commit: (!commit.is_empty()).then(|| commit.into()),
            dirty: env!("GRAN_TED_DIRTY") == "true",
            source: env!("GRAN_TED_SOURCE").into(),
        }
    }

    /// `0.2.0 (commit, source digest)`: part of the key of whatever is kept from one run to the next.
    pub fn id(&self) -> String {
        let commit = self.commit.as_deref().unwrap_or("no commit");
        let dirty = if self.dirty { ", dirty" } else { "" };
        format!("{} ({commit}{dirty}, {})", self.version, self.source)
    }
}
