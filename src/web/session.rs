//! One device, one model, one data set.

use super::{from_js, source, to_js};
use crate::device::{Device, DeviceKind};
use crate::encoder::{Settings, TextEncoder};
use crate::error::{Error, Result};
use crate::kernel::self_test::self_test;
use crate::loader::{Header, Loading};
use crate::model::{Feature, Pooling};
use crate::ted::{Dataset, Evaluation, Run, Subset};
use js_sys::{Array, Float32Array, Function, Promise, Reflect};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_time::Instant;

/// What the worker holds. One call at a time: the worker queues.
#[wasm_bindgen]
pub struct Session {
    device: Device,
    self_test_ms: f64,
    encoder: RefCell<Option<Rc<TextEncoder>>>,
    dataset: RefCell<Option<Arc<Dataset>>>,
}

#[derive(Deserialize)]
struct SettingsFromPage {
    feature: String,
    pooling: String,
    layer_weights: Option<Vec<f32>>,
}

#[derive(Serialize)]
struct Progress<T> {
    stage: &'static str,
    #[serde(flatten)]
    of: T,
}

#[wasm_bindgen]
impl Session {
    /// Opens `webgpu` or `cpu` and compares its kernels with the CPU's.
    pub async fn open(device: String) -> Result<Session, JsValue> {
        let device = Device::open(device.parse::<DeviceKind>()?).await?;
        let start = Instant::now();
        if device.kind == DeviceKind::Gpu {
            self_test(&device).await?;
        }
        let self_test_ms = milliseconds(start);
        Ok(Self { device, self_test_ms, encoder: RefCell::default(), dataset: RefCell::default() })
    }

    /// What it runs on.
    pub fn device(&self) -> Result<JsValue, JsValue> {
        to_js(&json!({
            "kind": if self.device.kind == DeviceKind::Gpu { "webgpu" } else { "cpu" },
            "adapter": self.device.adapter,
            "software": self.device.software,
            "max_buffer_bytes": self.device.max_buffer_bytes,
            "self_test_ms": self.self_test_ms,
        }))
    }

    /// Loads a model from picked files and URLs; the one before it is dropped first.
    pub async fn load(&self, files: Array, progress: Function) -> Result<JsValue, JsValue> {
        let start = Instant::now();
        self.encoder.take();
        self.device.burn().memory_cleanup();
        let mut sources = Vec::new();
        for file in files.iter() {
            sources.push(source::open(file).await?);
        }
        let header = Header::read(sources).await?;
        let mut loading = Loading::new(header, self.device.clone())?;
        while let Some(of) = loading.step().await? {
            report(&progress, "weights", json!({ "done": of.done, "total": of.total })).await?;
        }
        self.device.wait().await?;
        let encoder = loading.finish()?;
        let card = card(&encoder, milliseconds(start));
        self.encoder.replace(Some(Rc::new(encoder)));
        to_js(&card)
    }

    /// Embeds `texts`.
    pub async fn embed(&self, texts: Vec<String>, settings: JsValue) -> Result<JsValue, JsValue> {
        let (encoder, settings) = (self.encoder()?, settings_from(settings)?);
        let start = Instant::now();
        let embeddings = encoder.embed(&texts, &settings).await?;
        let result = to_js(&json!({
            "dimension": embeddings.vectors.first().map_or(0, Vec::len),
            "tokens": embeddings.tokens,
            "truncated": embeddings.truncated,
            "milliseconds": milliseconds(start),
        }))?;
        let floats = |rows: &[Vec<f32>]| Float32Array::from(&rows.concat()[..]);
        Reflect::set(&result, &"vectors".into(), &floats(&embeddings.vectors))?;
        Reflect::set(&result, &"similarity".into(), &floats(&embeddings.similarity()))?;
        Ok(result)
    }

    /// Reads a TED-6K file and keeps it.
    pub fn open_dataset(&self, name: String, bytes: Vec<u8>) -> Result<JsValue, JsValue> {
        let dataset = Dataset::parse(&name, &bytes)?;
        let card = to_js(&dataset.card())?;
        self.dataset.replace(Some(Arc::new(dataset)));
        Ok(card)
    }

    /// How many items and distinct texts a subset has.
    pub fn count(&self, subset: JsValue) -> Result<JsValue, JsValue> {
        let evaluation = Evaluation::new(self.dataset()?, &from_js("subset", subset)?)?;
        to_js(&json!({ "items": evaluation.items(), "texts": evaluation.texts().len() }))
    }

    /// Evaluates a subset; stopped early, the report is partial.
    pub async fn evaluate(
        &self,
        subset: JsValue,
        settings: JsValue,
        progress: Function,
    ) -> Result<JsValue, JsValue> {
        let (encoder, subset): (_, Subset) = (self.encoder()?, from_js("subset", subset)?);
        let mut run = Run::new(&encoder, self.dataset()?, &subset, settings_from(settings)?)?;
        while let Some(of) = run.step(&encoder).await? {
            if let Err(Error::Cancelled) = report(&progress, "evaluate", of).await {
                break;
            }
        }
        to_js(&run.report(&encoder))
    }
}

impl Session {
    fn encoder(&self) -> Result<Rc<TextEncoder>> {
        self.encoder.borrow().clone().ok_or(Error::NotLoaded { what: "model" })
    }

    fn dataset(&self) -> Result<Arc<Dataset>> {
        self.dataset.borrow().clone().ok_or(Error::NotLoaded { what: "TED-6K file" })
    }
}

fn settings_from(value: JsValue) -> Result<Settings> {
    let settings: SettingsFromPage = from_js("settings", value)?;
    Ok(Settings {
        feature: Feature::parse(&settings.feature, settings.layer_weights.as_deref())?,
        pooling: settings.pooling.parse::<Pooling>()?,
    })
}

/// Tells the page, and waits for its answer: `false` cancels.
async fn report(progress: &Function, stage: &'static str, of: impl Serialize) -> Result<()> {
    let failed = |e: JsValue| Error::Device { reason: format!("the progress callback failed: {e:?}") };
    let message = to_js(&Progress { stage, of }).map_err(failed)?;
    let answer = progress.call1(&JsValue::NULL, &message).map_err(failed)?;
    match JsFuture::from(Promise::resolve(&answer)).await.map_err(failed)?.as_bool() {
        Some(false) => Err(Error::Cancelled),
        _ => Ok(()),
    }
}

fn card(encoder: &TextEncoder, load_ms: f64) -> serde_json::Value {
    let (config, info) = (&encoder.config, &encoder.info);
    let types = info.tensor_types.iter().map(|(dtype, count)| (format!("{dtype:?}"), json!(count)));
    json!({
        "name": info.name,
        "family": config.family.name(),
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "vocab_size": config.vocab_size,
        "max_length": info.max_length,
        "parameters": info.parameters,
        "file_bytes": info.file_bytes,
        "device_bytes": info.device_bytes,
        "tensor_types": types.collect::<serde_json::Map<_, _>>(),
        "sha256": info.sha256.first().map_or("", |(_, digits)| digits),
        "load_ms": load_ms,
    })
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
