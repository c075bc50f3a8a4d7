//! The program in a folder of its own, as tests run it.

use super::files;
use serde_json::Value;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A folder that the program runs in, and that goes away with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gran-ted-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a file of `bytes`.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    /// The program with the words of `command` as arguments. Mesa's device-select layer is off: it complains on standard
    /// error where there is no display.
    pub fn program(&self, command: &str) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_gran-ted"));
        program.args(words(command)).current_dir(&self.0).env("NODEVICE_SELECT", "1");
        program
    }

    /// Runs the program, also where it fails.
    pub fn output(&self, command: &str) -> Output {
        self.program(command).output().unwrap()
    }

    /// What the program writes to standard output.
    pub fn run(&self, command: &str) -> String {
        let output = self.program(command).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn run_json(&self, command: &str) -> Value {
        serde_json::from_str(&self.run(command)).unwrap()
    }

    /// The one line that the program fails with.
    pub fn failure(&self, command: &str) -> String {
        let output = self.program(command).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{command}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        text.trim_end().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Splits a command into words as a shell does, at spaces that are not in 'quotes'. `MODEL` stands for the default model,
/// `SAMPLE` for the sample of a data set, and `TINY` for the folder of the tiny Qwen3-VL.
fn words(command: &str) -> Vec<OsString> {
    let word = |word: &str| match word {
        "MODEL" => files::default_model().into(),
        "SAMPLE" => files::sample().into(),
        "TINY" => files::path("tiny-qwen3vl").into(),
        _ => OsString::from(word),
    };
    let pieces = command.split('\'').enumerate();
    let each = pieces.flat_map(|(number, piece)| match number % 2 {
        0 => piece.split_whitespace().map(word).collect(),
        _ => vec![OsString::from(piece)],
    });
    each.collect()
}
