//! Where the files lie that tests read.

use std::path::{Path, PathBuf};

/// A path in the repository, or in `../shared` beside it.
pub fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The path of a file under tests/fixtures.
pub fn path(name: &str) -> PathBuf {
    at("tests/fixtures").join(name)
}

/// The bytes of a file under tests/fixtures.
pub fn fixture(name: &str) -> Vec<u8> {
    read(&path(name))
}

/// Bytes as a JSON document has them.
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().enumerate().fold(0, |bits, (i, &byte)| bits | u32::from(byte) << (16 - 8 * i));
        let letter = |i: usize| LETTERS[(bits >> (18 - 6 * i) & 63) as usize] as char;
        text.extend((0..4).map(|i| if i <= group.len() { letter(i) } else { '=' }));
    }
    text
}

/// The sample of TED-6K's shape that the page ships.
pub const SAMPLE: &[u8] = include_bytes!("../../../www/data/ted-sample.json");

/// The published scores that the page ships.
pub const LEADERBOARD: &[u8] = include_bytes!("../../../www/data/leaderboard.json");

/// The path of the same sample.
pub fn sample() -> PathBuf {
    at("www/data/ted-sample.json")
}

/// The default model, which `./build.sh test` fetches.
pub fn default_model() -> PathBuf {
    cached_model("SmolLM2-135M-Instruct.Q4_1.gguf", "test")
}

/// A model that `./build.sh command` puts into .cache/models.
pub fn cached_model(name: &str, command: &str) -> PathBuf {
    let path = at(".cache/models").join(name);
    assert!(path.exists(), "{} is missing: ./build.sh {command} fetches it", path.display());
    path
}

/// The path of a file in ../shared, whose data has no license and stays out of the repository.
pub fn shared_path(name: &str) -> PathBuf {
    at("../shared").join(name)
}

/// The bytes of a file in ../shared.
pub fn shared(name: &str) -> Vec<u8> {
    read(&shared_path(name))
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
