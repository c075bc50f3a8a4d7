//! The native frontend. An error is one line on standard error and exit status 1.

mod inspect;
mod run;

use clap::{Args, Parser, Subcommand};
use gran_ted::device::{Device, DeviceKind};
use gran_ted::encoder::{Settings, TextEncoder};
use gran_ted::error::{Error, Result};
use gran_ted::format::{DiskFile, Source};
use gran_ted::kernel::self_test::self_test;
use gran_ted::loader::{Header, Loading, layer_weights};
use gran_ted::model::{Feature, Pooling};
use indicatif::{ProgressBar, ProgressStyle};
use pollster::block_on;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

/// The text encoder of a diffusion model, and the benchmark that measures it (GRAN-TED and TED-6K).
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show a model file's family, sizes, tensor types and the memory it needs.
    Inspect {
        /// A .gguf file, a .safetensors file with config.json beside it, or a folder of these.
        model: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Embed texts and show how similar they are to the encoder.
    Embed {
        /// A .gguf file, a .safetensors file with config.json beside it, or a folder of these.
        model: PathBuf,
        /// The texts.
        #[arg(required = true)]
        texts: Vec<String>,
        /// Print the vectors as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        options: Options,
    },
    /// Score the encoder on TED-6K or a part of it.
    Evaluate {
        /// A .gguf file, a .safetensors file with config.json beside it, or a folder of these.
        model: PathBuf,
        /// A TED-6K file in the published schema.
        ted: PathBuf,
        /// The items, such as "caption=image;type=Adjective|OCR;n=10;captions=5;seed=7".
        #[arg(long, default_value = "all")]
        subset: String,
        /// Where to write the report.
        #[arg(long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        options: Options,
    },
}

#[derive(Args)]
struct Options {
    /// last, penultimate, layer(i), norm_avg, or weighted.
    #[arg(long, default_value = "norm_avg")]
    feature: String,
    /// The weights of `weighted`: a JSON list, or an adapter's .safetensors file.
    #[arg(long, value_name = "FILE")]
    layer_weights: Option<PathBuf>,
    /// mean or last_token.
    #[arg(long, default_value = "mean")]
    pooling: String,
    /// cpu, gpu, or auto: a GPU where there is a real one.
    #[arg(long, default_value = "auto")]
    device: String,
}

impl Options {
    fn settings(&self) -> Result<Settings> {
        let weights = match &self.layer_weights {
            Some(path) => Some(block_on(layer_weights::read(&DiskFile::open(path)?))?),
            None => None,
        };
        Ok(Settings {
            feature: Feature::parse(&self.feature, weights.as_deref())?,
            pooling: self.pooling.parse::<Pooling>()?,
        })
    }

    fn device(&self) -> Result<Device> {
        if self.device == "auto" {
            return Ok(match block_on(Device::gpu()) {
                Ok(device) if !device.software => device,
                _ => Device::cpu(),
            });
        }
        block_on(Device::open(self.device.parse::<DeviceKind>()?))
    }
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Inspect { model, json } => inspect::inspect(&model, json),
        Command::Embed { model, texts, json, options } => run::embed(&model, &texts, json, &options),
        Command::Evaluate { model, ted, subset, out, options } => {
            run::evaluate(&model, &ted, &subset, out.as_deref(), &options)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// The files of a model: the one named and its companions, or those of a folder.
fn model_files(path: &Path) -> Result<Vec<Rc<dyn Source>>> {
    let unreadable =
        |e: std::io::Error| Error::Read { file: path.display().to_string(), reason: e.to_string() };
    let mut paths = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let is_weights = path.extension().is_some_and(|end| end == "safetensors" || end == "gguf");
            if is_weights
                || path.file_name().is_some_and(|name| name == "config.json" || name == "tokenizer.json")
            {
                paths.push(path);
            }
        }
        paths.sort();
        if paths.is_empty() {
            return Err(Error::NotAModel {
                file: path.display().to_string(),
                expected: "a folder with a .gguf file, or with .safetensors files and config.json",
                found: "neither".into(),
            });
        }
    } else {
        paths.push(path.into());
        if path.extension().is_some_and(|end| end == "safetensors") {
            let beside = ["config.json", "tokenizer.json"].map(|name| path.with_file_name(name));
            paths.extend(beside.into_iter().filter(|path| path.exists()));
        }
    }
    paths.iter().map(|path| Ok(Rc::new(DiskFile::open(path)?) as Rc<dyn Source>)).collect()
}

/// Loads a model with a progress bar; tests the device before it is trusted.
fn load(path: &Path, options: &Options) -> Result<TextEncoder> {
    let header = block_on(Header::read(model_files(path)?))?;
    let device = options.device()?;
    if device.kind == DeviceKind::Gpu {
        block_on(self_test(&device))?;
    }
    let bar = bar(header.info.file_bytes, "{msg} {bar:32} {bytes}/{total_bytes}", "loading");
    let mut loading = Loading::new(header, device)?;
    while let Some(progress) = block_on(loading.step())? {
        bar.set_position(progress.done);
    }
    bar.finish_and_clear();
    loading.finish()
}

/// A bar on standard error; hidden where that is no terminal.
fn bar(total: u64, template: &str, message: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_message(message)
}

/// Writes to standard output; a reader that has gone away is not an error.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
