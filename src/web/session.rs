//! One device, one model, one data set.

use super::{from_js, source, to_js};
use crate::bench::{Bench, BenchOptions};
use crate::device::{Device, DeviceKind, class};
use crate::encoder::{ModelCard, Settings, TextEncoder};
use crate::error::{Error, Result};
use crate::loader::{AdapterFile, OpenOptions, Opened, Opening};
use crate::model::{Adapter, Feature, Pooling, Precision};
use crate::ted::{Dataset, Evaluation, Run, Study, Subset, layer_products, letter};
use crate::text::batch::runs;
use crate::trial::self_test::{Tested, test_adapters};
use js_sys::{Array, Float32Array, Function, Promise, Reflect};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_time::Instant;

/// The state of the worker: one device, one model, one data set. The worker queues its calls, so there is one at a time.
#[wasm_bindgen]
pub struct Session {
    device: Device,
    /// The kernels that the device has shown to compute as the CPU does.
    tested: RefCell<Tested>,
    /// A model whose header was read; it is loaded next.
    opened: RefCell<Option<Opening>>,
    encoder: RefCell<Option<Rc<TextEncoder>>>,
    adapter: RefCell<Option<Rc<OpenAdapter>>>,
    dataset: RefCell<Option<Arc<Dataset>>>,
    /// A study of `encoder` and `dataset` that was paused.
    study: RefCell<Option<Study>>,
}

/// An adapter's file, and the adapter as it was loaded last.
struct OpenAdapter {
    file: AdapterFile,
    loaded: RefCell<Option<Rc<Adapter>>>,
}

/// Device memory for a model on the CPU, where it lies in the module's own 4 GB; a larger one is streamed.
const CPU_BUDGET: u64 = 2_000_000_000;

/// Texts whose vectors are asked for at once.
const STORE_CHUNK: usize = 256;

#[wasm_bindgen]
extern "C" {
    /// Where the page keeps finished vectors: `VectorStore` of www/types/storage.d.ts.
    pub type VectorStore;

    #[wasm_bindgen(method, catch)]
    async fn get(this: &VectorStore, scope: &str, keys: Vec<String>) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn put(
        this: &VectorStore,
        scope: &str,
        keys: Vec<String>,
        vectors: Vec<Float32Array>,
    ) -> Result<JsValue, JsValue>;
}

#[derive(Deserialize)]
struct SettingsFromPage {
    feature: String,
    pooling: String,
    layer_weights: Option<Vec<f32>>,
    #[serde(default)]
    reference_precision: bool,
}

#[derive(Deserialize)]
struct LoadOptions {
    /// q8 or q4: how dense weights are packed.
    quantize: Option<String>,
    /// f32, f16 or int8: the arithmetic of products with packed weights.
    arithmetic: String,
    /// file or none: whether the begin and end tokens of the tokenizer's file are added to each text.
    special_tokens: String,
    budget_mb: Option<f64>,
    /// Streams the model even where all of it is within the limits.
    streamed: bool,
    /// Set after an out-of-memory failure: batches stay at the size used for a whole model.
    out_of_memory: bool,
}

#[derive(Serialize)]
struct Progress<T> {
    stage: &'static str,
    #[serde(flatten)]
    of: T,
}

/// A loaded model, with what loading it took.
#[derive(Serialize)]
struct LoadedCard {
    #[serde(flatten)]
    card: ModelCard,
    load_ms: f64,
    /// The tiles of the products, for the next load on this adapter; `None` where there is no choice.
    tiles: Option<String>,
}

#[wasm_bindgen]
impl Session {
    /// Opens `webgpu` or `cpu`. `adapter` is its name; `kernels` is `gpu` or `software`, where they are to be those of that
    /// class and not of the adapter's own.
    pub async fn open(
        device: String,
        adapter: Option<String>,
        kernels: Option<String>,
    ) -> Result<Session, JsValue> {
        let device = Device::open(device.parse::<DeviceKind>()?).await?.named(adapter);
        if let Some(kernels) = kernels {
            class::set_software(kernels == "software");
        }
        Ok(Self {
            device,
            tested: RefCell::default(),
            opened: RefCell::default(),
            encoder: RefCell::default(),
            adapter: RefCell::default(),
            dataset: RefCell::default(),
            study: RefCell::default(),
        })
    }

    /// The device that everything runs on.
    pub fn device(&self) -> Result<JsValue, JsValue> {
        to_js(&json!({
            "kind": if self.device.kind == DeviceKind::Gpu { "webgpu" } else { "cpu" },
            "adapter": self.device.adapter,
            "software": self.device.software,
            "max_buffer_bytes": self.device.max_buffer_bytes,
        }))
    }

    /// Reads the header of a model from its files and gives its plan: the memory it will take and how it will be held. The
    /// model before it is dropped first. A model that needs more device memory than the limits of `options` allow will be
    /// streamed layer by layer; one that does not fit even so is `refused`, with the reason in the plan.
    pub async fn open_model(&self, files: Array, options: JsValue) -> Result<JsValue, JsValue> {
        let options: LoadOptions = from_js("options", options)?;
        self.encoder.take();
        self.adapter.take();
        self.opened.take();
        self.study.take();
        self.device.burn().memory_cleanup();
        let sources = files.iter().map(source::open).collect::<Result<Vec<_>>>()?;
        let own = (self.device.kind == DeviceKind::Cpu).then_some(CPU_BUDGET);
        let asked = options.budget_mb.map(|megabytes| (1e6 * megabytes) as u64);
        let opening = Opening::read(
            sources,
            &self.device,
            &OpenOptions {
                shared_bias: false,
                quantize: options.quantize.map(|name| name.parse()).transpose()?,
                arithmetic: options.arithmetic.parse()?,
                special_tokens: options.special_tokens.parse()?,
                budget_bytes: asked.into_iter().chain(own).min(),
                streamed: options.streamed,
                small_batches: options.out_of_memory,
            },
        )
        .await?;
        let plan = to_js(opening.plan())?;
        if opening.plan().refused.is_none() {
            self.opened.replace(Some(opening));
        }
        Ok(plan)
    }

    /// Loads the model that was opened last. Its kernels are made, compared with the CPU's and, on a GPU, measured, except
    /// for the choices in `tiles`; the card returns the new ones to keep.
    pub async fn load(&self, progress: Function, tiles: Option<String>) -> Result<JsValue, JsValue> {
        let start = Instant::now();
        let opening = self.opened.take().ok_or(Error::NotLoaded { what: "model" })?;
        let mut opening = opening.remember(self.tested.borrow().clone(), tiles.as_deref());
        let ended = steps(&mut opening, &progress).await;
        self.tested.replace(opening.tested().clone());
        ended?;
        let Opened { encoder, tiles, .. } = opening.finish()?;
        let card = to_js(&LoadedCard { card: encoder.card(), load_ms: milliseconds(start), tiles })?;
        self.encoder.replace(Some(Rc::new(encoder)));
        Ok(card)
    }

    /// Loads an adapter for the model, or layer weights alone; the one before it is dropped.
    pub async fn load_adapter(&self, file: JsValue) -> Result<JsValue, JsValue> {
        let encoder = self.encoder()?;
        self.adapter.take();
        let file = AdapterFile::open(source::open(file)?).await?;
        if let Some(weights) = &file.layer_weights {
            Feature::Weighted(weights.clone()).check(&encoder.config)?;
        }
        let loaded = match file.kind {
            Some(_) => {
                let mut tested = self.tested.borrow().clone();
                test_adapters(&self.device, &mut tested).await?;
                self.tested.replace(tested);
                Some(Rc::new(file.load(&encoder, Precision::Full).await?))
            }
            None => None,
        };
        let card = to_js(&file.card(loaded.as_deref()))?;
        self.adapter.replace(Some(Rc::new(OpenAdapter { file, loaded: RefCell::new(loaded) })));
        Ok(card)
    }

    /// Drops the adapter and the layer weights of its file.
    pub fn drop_adapter(&self) {
        self.adapter.take();
        self.device.burn().memory_cleanup();
    }

    /// Products of the texts' pooled, normalized layers: what a page needs to mix them anew.
    pub async fn layer_products(&self, texts: Vec<String>, pooling: String) -> Result<JsValue, JsValue> {
        let (encoder, pooling) = (self.encoder()?, Pooling::parse(&pooling, None)?);
        let start = Instant::now();
        let encoded = encoder.tokenize(&texts)?;
        let ids: Vec<&[u32]> = encoded.iter().map(|text| text.ids.as_slice()).collect();
        let tokens: Vec<usize> = ids.iter().map(|ids| ids.len()).collect();
        let mut layers = Vec::new();
        for run in runs(&tokens, encoder.batch_tokens()) {
            let vectors = encoder.layer_vectors(&ids[run], &pooling).await?;
            layers.extend(vectors.into_iter().flat_map(|vectors| vectors.normed));
        }
        let products = layer_products(&layers, &layers);
        let result = to_js(&json!({
            "prompts": texts.len(),
            "num_hidden_layers": encoder.config.num_hidden_layers,
            "tokens": tokens,
            "milliseconds": milliseconds(start),
        }))?;
        Reflect::set(&result, &"products".into(), &Float32Array::from(&products[..]))?;
        Ok(result)
    }

    /// Embeds `texts`.
    pub async fn embed(&self, texts: Vec<String>, settings: JsValue) -> Result<JsValue, JsValue> {
        let (encoder, settings) = (self.encoder()?, self.settings(settings).await?);
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
        self.study.take();
        Ok(card)
    }

    /// How many items and distinct texts a subset has, and its id.
    pub fn count(&self, subset: JsValue) -> Result<JsValue, JsValue> {
        let (dataset, subset): (_, Subset) = (self.dataset()?, from_js("subset", subset)?);
        let id = subset.id(&dataset.sha256);
        let evaluation = Evaluation::new(dataset, &subset)?;
        to_js(&json!({ "items": evaluation.items(), "texts": evaluation.texts().len(), "id": id }))
    }

    /// An item of the data set, without scores.
    pub fn item(&self, caption_key: String, question_type: String) -> Result<JsValue, JsValue> {
        let dataset = self.dataset()?;
        let sample = dataset.find(&caption_key, question_type.parse()?)?;
        to_js(&json!({
            "caption_key": sample.caption_key,
            "caption_type": sample.caption_type,
            "question_type": sample.question_type,
            "caption": dataset.captions[sample.caption].caption,
            "question": sample.question,
            "statements": sample.statements,
            "correct_answer": letter(sample.correct),
        }))
    }

    /// Evaluates a subset; stopped early, the report is partial. What `store` has is not encoded again.
    pub async fn evaluate(
        &self,
        subset: JsValue,
        settings: JsValue,
        progress: Function,
        mut store: Option<VectorStore>,
    ) -> Result<JsValue, JsValue> {
        let (encoder, subset): (_, Subset) = (self.encoder()?, from_js("subset", subset)?);
        let mut run = Run::new(&encoder, self.dataset()?, &subset, self.settings(settings).await?)?;
        let scope = run.scope_id();
        if let Some(open) = &store
            && restore(&mut run, open, &scope).await.is_err()
        {
            store = None;
        }
        if run.progress().restored > 0 && !goes_on(report(&progress, "evaluate", run.progress()).await)? {
            return to_js(&run.report(&encoder));
        }
        while let Some(of) = unless_cancelled(run.step(&encoder).await)? {
            let (keys, vectors): (Vec<String>, Vec<Vec<f32>>) = run.take_fresh().into_iter().unzip();
            if let Some(open) = &store {
                let vectors = vectors.iter().map(|vector| Float32Array::from(&vector[..])).collect();
                if open.put(&scope, keys, vectors).await.is_err() {
                    store = None; // the store has told the page
                }
            }
            if !goes_on(report(&progress, "evaluate", of).await)? {
                break;
            }
        }
        to_js(&run.report(&encoder))
    }

    /// Measures the device and the model on texts of `tokens`, or of the usual lengths, for at most `seconds`; stopped
    /// early, the report is partial.
    pub async fn bench(
        &self,
        seconds: f64,
        tokens: Option<Vec<u32>>,
        progress: Function,
    ) -> Result<JsValue, JsValue> {
        let encoder = self.encoder()?;
        let mut options = BenchOptions::new(&encoder, seconds);
        if let Some(tokens) = tokens {
            options.tokens = tokens.into_iter().map(|tokens| tokens as usize).collect();
        }
        let mut bench = Bench::new(&encoder, &options).await?;
        while let Some(of) = bench.step(&encoder).await? {
            if !goes_on(report(&progress, "bench", of).await)? {
                break;
            }
        }
        to_js(bench.report())
    }

    /// The score of every layer and mix from one pass over a subset; paused, it is partial, and the next call of the same
    /// study goes on with it.
    pub async fn study(
        &self,
        subset: JsValue,
        pooling: String,
        layer_weights: Option<Vec<f32>>,
        progress: Function,
    ) -> Result<JsValue, JsValue> {
        let (encoder, subset): (_, Subset) = (self.encoder()?, from_js("subset", subset)?);
        let (dataset, pooling) = (self.dataset()?, Pooling::parse(&pooling, None)?);
        let mut study = match self.study.take() {
            Some(study) if study.is_of(&dataset, &subset, &pooling, layer_weights.as_deref()) => study,
            _ => Study::new(&encoder, dataset, &subset, pooling, layer_weights)?,
        };
        while let Some(of) = unless_cancelled(study.step(&encoder).await)? {
            if !goes_on(report(&progress, "study", of).await)? {
                break;
            }
        }
        let (report, products) = (study.report(&encoder), study.products());
        let provenance = &report.provenance;
        if provenance.complete == Some(false) {
            self.study.replace(Some(study));
        }
        let result = to_js(&report)?;
        let timings = provenance.timings.as_ref();
        for (key, value) in [
            ("tokens", to_js(&timings.map(|timings| timings.tokens))?),
            ("texts", to_js(&timings.map(|timings| timings.texts))?),
            ("milliseconds", to_js(&timings.map(|timings| 1e3 * timings.seconds))?),
            ("subset", to_js(&provenance.subset)?),
            ("complete", to_js(&provenance.complete)?),
        ] {
            Reflect::set(&result, &key.into(), &value)?;
        }
        let products = products.map(|products| Float32Array::from(&products[..]));
        Reflect::set(&result, &"products".into(), &products.map_or(JsValue::NULL, JsValue::from))?;
        Ok(result)
    }
}

/// Gives the run what the page has stored of its texts.
async fn restore(run: &mut Run, store: &VectorStore, scope: &str) -> Result<(), JsValue> {
    let keys = run.keys();
    for (chunk, keys) in keys.chunks(STORE_CHUNK).enumerate() {
        let found = Array::from(&store.get(scope, keys.to_vec()).await?);
        for (place, vector) in found.iter().enumerate() {
            if let Some(vector) = vector.dyn_ref::<Float32Array>() {
                run.restore(chunk * STORE_CHUNK + place, &vector.to_vec());
            }
        }
    }
    Ok(())
}

impl Session {
    fn encoder(&self) -> Result<Rc<TextEncoder>> {
        self.encoder.borrow().clone().ok_or(Error::NotLoaded { what: "model" })
    }

    /// The page's settings, with the loaded adapter in the precision they ask for.
    async fn settings(&self, value: JsValue) -> Result<Settings> {
        let settings: SettingsFromPage = from_js("settings", value)?;
        let open = self.adapter.borrow().clone();
        let own = open.as_ref().and_then(|open| open.file.layer_weights.clone());
        let weights = settings.layer_weights.or(own);
        let feature = Feature::parse(&settings.feature, weights.as_deref())?;
        let precision = if settings.reference_precision { Precision::Reference } else { Precision::Full };
        let adapter = match open {
            Some(open) if settings.pooling == "adapter" => {
                Some(open.load(&*self.encoder()?, precision).await?)
            }
            _ => None,
        };
        Ok(Settings { feature, pooling: Pooling::parse(&settings.pooling, adapter)?, precision })
    }

    fn dataset(&self) -> Result<Arc<Dataset>> {
        self.dataset.borrow().clone().ok_or(Error::NotLoaded { what: "TED-6K file" })
    }
}

impl OpenAdapter {
    /// The adapter in `precision`; loaded again where it is there in the other.
    async fn load(&self, encoder: &TextEncoder, precision: Precision) -> Result<Rc<Adapter>> {
        let loaded = self.loaded.borrow().clone().filter(|adapter| adapter.precision == precision);
        if let Some(adapter) = loaded {
            return Ok(adapter);
        }
        self.loaded.take();
        let adapter = Rc::new(self.file.load(encoder, precision).await?);
        self.loaded.replace(Some(adapter.clone()));
        Ok(adapter)
    }
}

/// Whether the page's answer to a progress report lets the call go on.
fn goes_on(answer: Result<()>) -> Result<bool> {
    match answer {
        Ok(()) => Ok(true),
        Err(Error::Cancelled) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A pass over streamed layers ends where their file's reads do: what was done before stays.
fn unless_cancelled<T>(step: Result<Option<T>>) -> Result<Option<T>> {
    match step {
        Err(Error::Host { code, .. }) if code == "Cancelled" => Ok(None),
        step => step,
    }
}

/// Drives an opening to its end.
async fn steps(opening: &mut Opening, progress: &Function) -> Result<()> {
    while let Some(of) = opening.step().await? {
        send(progress, &of).await?;
    }
    Ok(())
}

/// Tells the page how far a stage is, and waits for its answer: `false` cancels.
async fn report(progress: &Function, stage: &'static str, of: impl Serialize) -> Result<()> {
    send(progress, &Progress { stage, of }).await
}

async fn send(progress: &Function, message: &impl Serialize) -> Result<()> {
    let failed = |e: JsValue| Error::Device { reason: format!("the progress callback failed: {e:?}") };
    let message = to_js(message).map_err(failed)?;
    let answer = progress.call1(&JsValue::NULL, &message).map_err(failed)?;
    match JsFuture::from(Promise::resolve(&answer)).await.map_err(failed)?.as_bool() {
        Some(false) => Err(Error::Cancelled),
        _ => Ok(()),
    }
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
