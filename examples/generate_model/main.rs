//! Writes a model of random weights, as large as Qwen3-VL 2b, 4b or 8b (1 to 5 GB), or `small` (73 MB): one size, one file,
//! byte for byte.
//!
//!     cargo run --release --example generate_model -- 8b .cache/models

// The tests of the native program use these files too: they split such models, and spoil them.
#[allow(dead_code, unused_imports, reason = "the tests use the rest")]
mod model;

use model::Tiny;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [size, folder] = &arguments[..] else {
        eprintln!("usage: generate_model small|2b|4b|8b FOLDER");
        return ExitCode::FAILURE;
    };
    let Some(model) = Tiny::qwen3vl(size) else {
        eprintln!("error: size `{size}` is not known, expected small, 2b, 4b or 8b");
        return ExitCode::FAILURE;
    };
    match write(&model, &Path::new(folder).join(format!("generated-{size}.gguf"))) {
        Ok(line) => println!("{line}"),
        Err(error) => {
            eprintln!("error: cannot write in `{folder}`: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Writes under another name first: what has the name `path` is whole.
fn write(model: &Tiny, path: &Path) -> std::io::Result<String> {
    let (start, unfinished) = (Instant::now(), path.with_extension("part"));
    std::fs::create_dir_all(path.parent().unwrap_or(path))?;
    let mut file = BufWriter::new(File::create(&unfinished)?);
    model.write_to(&mut file)?;
    file.flush()?;
    std::fs::rename(&unfinished, path)?;
    let (bytes, seconds) = (std::fs::metadata(path)?.len(), start.elapsed().as_secs_f64());
    Ok(format!("{}: {bytes} bytes in {seconds:.0} s", path.display()))
}
