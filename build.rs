//! Tells the crate what it is built from: the commit and a digest of the sources, for reports and for the keys of kept
//! vectors. Outside a git checkout the commit is unknown, and the digest stands alone.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What decides which bits the program computes.
const SOURCES: [&str; 4] = ["src", "build.rs", "Cargo.toml", "Cargo.lock"];

fn main() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let commit = std::env::var("GRAN_TED_COMMIT").ok().or_else(|| git(&root, &["rev-parse", "HEAD"]));
    let changes = [&["status", "--porcelain", "--"][..], &SOURCES].concat();
    let dirty = git(&root, &changes).is_some_and(|changed| !changed.is_empty());
    println!("cargo::rustc-env=GRAN_TED_COMMIT={}", commit.unwrap_or_default());
    println!("cargo::rustc-env=GRAN_TED_DIRTY={dirty}");
    println!("cargo::rustc-env=GRAN_TED_SOURCE={:016x}", digest(&root));

    println!("cargo::rerun-if-env-changed=GRAN_TED_COMMIT");
    SOURCES.iter().for_each(|path| println!("cargo::rerun-if-changed={path}"));
    // Every commit and checkout is a line of this log; cargo would always run again for a file that is not there.
    if let Some(log) =
        git(&root, &["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| root.join(log).exists())
    {
        println!("cargo::rerun-if-changed={log}");
    }
}

/// The output of a git command about this crate's own repository; `None` without git, or where the crate lies in another's.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let run = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(root).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
    };
    run(&["rev-parse", "--show-prefix"]).filter(String::is_empty)?;
    run(arguments)
}

/// A digest of the sources' paths and contents.
fn digest(root: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in SOURCES {
        add(&root.join(path), root, &mut hasher);
    }
    hasher.finish()
}

fn add(path: &Path, root: &Path, hasher: &mut DefaultHasher) {
    if let Ok(entries) = std::fs::read_dir(path) {
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().for_each(|path| add(path, root, hasher));
    } else if let Ok(bytes) = std::fs::read(path) {
        path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/").hash(hasher);
        bytes.hash(hasher);
    }
}
