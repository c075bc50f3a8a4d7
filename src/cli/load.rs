//! From arguments to an encoder and its settings.

use super::args::{LoadOptions, Options, QuantizeOption};
use super::cache;
use super::files::model_files;
use super::output::bar;
use gran_ted::device::{Device, DeviceKind};
use gran_ted::encoder::{Settings, TextEncoder};
use gran_ted::error::{Error, Result};
use gran_ted::format::DiskFile;
use gran_ted::loader::{AdapterFile, Header, OpenOptions, Opening, OpeningProgress};
use gran_ted::model::{Feature, Pooling, Precision};
use gran_ted::quant::Quantize;
use gran_ted::trial::self_test::{Tested, test_adapters};
use pollster::block_on;
use std::path::Path;
use std::rc::Rc;

impl QuantizeOption {
    fn parse(&self) -> Result<Option<Quantize>> {
        self.quantize.as_ref().map(|name| name.parse()).transpose()
    }

    /// The header of the model at `path`, its weights to be packed as asked for.
    pub fn header(&self, path: &Path) -> Result<Header> {
        let quantize = self.parse()?;
        let header = block_on(Header::read(model_files(path)?))?;
        Ok(match quantize {
            Some(quantize) => header.quantize(quantize),
            None => header,
        })
    }
}

impl Options {
    /// Checks everything that can be checked before the model is loaded.
    pub fn check(&self) -> Result<Choice<'_>> {
        let adapter = self.adapter.as_deref().map(open_adapter).transpose()?;
        let weights = match &self.layer_weights {
            Some(path) => Some(open_layer_weights(path)?),
            None => adapter.as_ref().and_then(|adapter| adapter.layer_weights.clone()),
        };
        let default = if weights.is_some() { "weighted" } else { "norm_avg" };
        let feature = Feature::parse(self.feature.as_deref().unwrap_or(default), weights.as_deref())?;
        let pooling = match (&self.pooling, &adapter) {
            (Some(name), _) => name,
            (None, Some(_)) => "adapter",
            (None, None) => "mean",
        };
        if pooling != "adapter" || adapter.is_none() {
            Pooling::parse(pooling, None)?;
        }
        let precision = if self.reference_precision { Precision::Reference } else { Precision::Full };
        Ok(Choice { feature, pooling, adapter, precision })
    }
}

/// The options, read and checked.
pub struct Choice<'a> {
    feature: Feature,
    pooling: &'a str,
    adapter: Option<AdapterFile>,
    precision: Precision,
}

impl Choice<'_> {
    /// Loads the adapter, where one is to be used, onto a device that was `tested`.
    pub fn settings(self, encoder: &TextEncoder, mut tested: Tested) -> Result<Settings> {
        let adapter = match &self.adapter {
            Some(file) if self.pooling == "adapter" => {
                block_on(test_adapters(encoder.device(), &mut tested))?;
                Some(Rc::new(block_on(file.load(encoder, self.precision))?))
            }
            _ => None,
        };
        let pooling = Pooling::parse(self.pooling, adapter)?;
        let settings = Settings { feature: self.feature, pooling, precision: self.precision };
        if settings.precision == Precision::Reference && !settings.rounds() {
            eprintln!("warning: nothing is rounded: the reference runs mean + MLP in f32");
        }
        Ok(settings)
    }
}

fn open_adapter(path: &Path) -> Result<AdapterFile> {
    block_on(AdapterFile::open(Rc::new(DiskFile::open(path)?)))
}

/// The layer weights in a file that is named for them.
pub fn open_layer_weights(path: &Path) -> Result<Vec<f32>> {
    let (file, tensor) = (path.display().to_string(), "layer_weights".into());
    open_adapter(path)?.layer_weights.ok_or(Error::MissingTensor { file, tensor })
}

fn open_device(name: &str) -> Result<Device> {
    if name == "auto" {
        return Ok(match block_on(Device::gpu()) {
            Ok(device) if !device.software => device,
            _ => Device::cpu(),
        });
    }
    block_on(Device::open(name.parse::<DeviceKind>()?))
}

/// Opens a model with a progress bar; the device is tested before it is trusted.
pub fn load(path: &Path, options: &LoadOptions) -> Result<(TextEncoder, Tested)> {
    let open = OpenOptions {
        quantize: options.quantize.parse()?,
        arithmetic: options.arithmetic.parse()?,
        special_tokens: options.special_tokens.parse()?,
        budget_bytes: options.budget.map(|megabytes| megabytes.saturating_mul(1_000_000)),
        ..OpenOptions::default()
    };
    let header = block_on(Header::read(model_files(path)?))?;
    header.info.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    let device = open_device(&options.device)?;
    let opening = Opening::new(header, &device, &open)?;
    let mut opening = opening.remember(Tested::default(), cache::tiles(&device).as_deref());
    let bar = bar(opening.plan().download_bytes, "{msg} {bar:32} {bytes}/{total_bytes}", "loading");
    while let Some(progress) = block_on(opening.step())? {
        if let OpeningProgress::Weights(progress) = progress {
            bar.set_position(progress.done);
        }
    }
    bar.finish_and_clear();
    let opened = opening.finish()?;
    if let Some(tiles) = opened.tiles.filter(|_| opened.measured) {
        cache::keep_tiles(&device, &tiles);
    }
    Ok((opened.encoder, opened.tested))
}
