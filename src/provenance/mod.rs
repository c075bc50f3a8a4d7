//! Where a result comes from: one type for reports of evaluations, studies and benchmarks.
//!
//! Our own facts are typed. A report may also come from a stranger or an older program: its facts of another shape are
//! kept in [`Provenance::other`] and written again as they are.

mod build;

pub use build::Build;

use crate::device::Device;
use crate::encoder::TextEncoder;
use crate::model::adapter::AdapterInfo;
use crate::model::features::softmax;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The number of the format that reports, studies and benchmarks are written in. Version 0.1.0 wrote none.
pub const FORMAT: u64 = 1;

/// The origin of a result. A field is `None` where the result doesn't state it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Provenance {
    /// [`FORMAT`] of the program that wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<u64>,
    /// The text encoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelProvenance>,
    /// The benchmark's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetProvenance>,
    /// The items of that file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subset: Option<SubsetProvenance>,
    /// The device that it ran on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceProvenance>,
    /// Versions of programs by name: `gran-ted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versions: Option<BTreeMap<String, String>>,
    /// The build of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
    /// `norm_avg`, `layer(3)`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// The weights of `weighted`; `Some(None)` where the feature has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_weights: Option<Option<LayerWeights>>,
    /// `mean`, `last_token`, or the kind of the adapter: `attention` or `mean_mlp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pooling: Option<String>,
    /// The trained adapter; `Some(None)` where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<Option<AdapterProvenance>>,
    /// Whether embeddings and scores were rounded to bfloat16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_precision: Option<bool>,
    /// Texts that were cut to the longest that the model takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated_texts: Option<usize>,
    /// The texts and tokens that were encoded, and their time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
    /// Whether all items are in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete: Option<bool>,
    /// Facts that other programs have stated, and fields of another shape than those above.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A text encoder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelProvenance {
    /// The weight file's name, without its folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `qwen3vl`, `llama`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The weight files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<FileProvenance>>,
    /// The SHA-256 of the configuration as it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_sha256: Option<String>,
    /// The SHA-256 of the tokenizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer_sha256: Option<String>,
    /// The number of used tensors of each type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensor_types: Option<BTreeMap<String, usize>>,
    /// L, the number of layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_hidden_layers: Option<usize>,
    /// D, the width of a hidden state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_size: Option<usize>,
    /// Width of the MLP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intermediate_size: Option<usize>,
    /// Tokens that a text is cut to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// The tokens that the tokenizer added before each text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begin_tokens: Option<Vec<String>>,
    /// The tokens that it added after each text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_tokens: Option<Vec<String>>,
    /// How dense weights were packed while they were loaded; `Some(None)` where they were not.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "stated")]
    pub quantize: Option<Option<String>>,
    /// The arithmetic of products with packed weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arithmetic: Option<String>,
    /// Whether the layers were brought to the device for each pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streamed: Option<bool>,
    /// Facts that other programs have stated.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A file and its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileProvenance {
    /// Its name, without its folder.
    pub file: String,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// The benchmark's file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DatasetProvenance {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Facts that other programs have stated.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The items of the benchmark that were taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubsetProvenance {
    /// The same definition on the same file has the same id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `n=10;seed=7`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// Facts that other programs have stated.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The device that a result was computed on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceProvenance {
    /// `cpu` or `gpu`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The adapter's name and driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// Whether the adapter is a CPU in disguise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software: Option<bool>,
    /// Facts that other programs have stated.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The weights of the feature `weighted`, one for each layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerWeights {
    /// w
    pub logits: Vec<f32>,
    /// softmax(w)
    pub softmax: Vec<f32>,
}

/// A trained adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterProvenance {
    /// Its file's name, without its folder.
    pub file: String,
    /// The SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// `attention` or `mean_mlp`.
    pub kind: String,
    /// E, values of an embedding.
    pub dimension: usize,
}

/// The texts and tokens that were encoded, and their time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timings {
    /// Distinct texts encoded.
    pub texts: usize,
    /// Their tokens.
    pub tokens: usize,
    /// Seconds that encoding took.
    pub seconds: f64,
    /// Tokens per second.
    pub tokens_per_second: f64,
    /// Texts whose vectors were kept from a former run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<usize>,
}

impl Provenance {
    /// The facts of this program, of `encoder` and of its device.
    pub fn of(encoder: &TextEncoder) -> Self {
        let build = Build::current();
        Self {
            format: Some(FORMAT),
            model: Some(ModelProvenance::of(encoder)),
            device: Some(DeviceProvenance::of(encoder.device())),
            versions: Some(BTreeMap::from([("gran-ted".to_string(), build.version.clone())])),
            build: Some(build),
            ..Self::default()
        }
    }

    /// The model's name, where it is stated.
    pub fn model_name(&self) -> Option<&str> {
        let model = self.model.as_ref().and_then(|model| model.name.as_deref());
        model.or_else(|| self.word("model", "name"))
    }

    /// The adapter's name, where it is stated.
    pub fn device_name(&self) -> Option<&str> {
        let device = self.device.as_ref().and_then(|device| device.adapter.as_deref());
        device.or_else(|| self.word("device", "adapter"))
    }

    /// The id of the subset, where it is stated.
    pub fn subset_id(&self) -> Option<&str> {
        let subset = self.subset.as_ref().and_then(|subset| subset.id.as_deref());
        subset.or_else(|| self.word("subset", "id"))
    }

    /// The name and the SHA-256 of the benchmark's file, where they are stated.
    pub fn dataset_words(&self) -> [Option<&str>; 2] {
        let dataset = self.dataset.as_ref();
        [
            dataset.and_then(|dataset| dataset.file.as_deref()).or_else(|| self.word("dataset", "file")),
            dataset.and_then(|dataset| dataset.sha256.as_deref()).or_else(|| self.word("dataset", "sha256")),
        ]
    }

    /// A word of a part that has another shape than ours.
    fn word(&self, part: &str, key: &str) -> Option<&str> {
        self.other.get(part)?.get(key)?.as_str()
    }
}

impl ModelProvenance {
    fn of(encoder: &TextEncoder) -> Self {
        let (config, info) = (&encoder.config, &encoder.info);
        let file =
            |(file, sha256): &(String, String)| FileProvenance { file: file.clone(), sha256: sha256.clone() };
        Self {
            name: Some(info.name.clone()),
            family: Some(config.family.name().into()),
            files: Some(info.sha256.iter().map(file).collect()),
            config_sha256: Some(info.config_sha256.clone()),
            tokenizer_sha256: info.tokenizer_sha256.clone(),
            tensor_types: Some(
                info.tensor_types.iter().map(|(dtype, count)| (format!("{dtype:?}"), *count)).collect(),
            ),
            num_hidden_layers: Some(config.num_hidden_layers),
            hidden_size: Some(config.hidden_size),
            intermediate_size: Some(config.intermediate_size),
            max_length: Some(info.max_length),
            begin_tokens: Some(info.begin_tokens.clone()),
            end_tokens: Some(info.end_tokens.clone()),
            quantize: Some(info.quantize.map(|quantize| quantize.name().into())),
            arithmetic: Some(info.arithmetic.name().into()),
            streamed: Some(encoder.is_streamed()),
            other: Map::new(),
        }
    }
}

impl DeviceProvenance {
    fn of(device: &Device) -> Self {
        Self {
            kind: Some(device.kind.name().into()),
            adapter: Some(device.adapter.clone()),
            software: Some(device.software),
            other: Map::new(),
        }
    }
}

impl AdapterProvenance {
    /// The facts of a loaded adapter.
    pub fn of(info: &AdapterInfo) -> Self {
        Self {
            file: info.name.clone(),
            sha256: info.sha256.clone(),
            kind: info.kind.name().into(),
            dimension: info.dimension,
        }
    }
}

impl LayerWeights {
    /// The weights before and after their softmax.
    pub fn of(logits: &[f32]) -> Self {
        Self { logits: logits.to_vec(), softmax: softmax(logits) }
    }
}

impl<'de> Deserialize<'de> for Provenance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut other = Map::deserialize(deserializer)?;
        Ok(Self {
            format: take(&mut other, "format"),
            model: take(&mut other, "model"),
            dataset: take(&mut other, "dataset"),
            subset: take(&mut other, "subset"),
            device: take(&mut other, "device"),
            versions: take(&mut other, "versions"),
            build: take(&mut other, "build"),
            feature: take(&mut other, "feature"),
            layer_weights: take_nullable(&mut other, "layer_weights"),
            pooling: take(&mut other, "pooling"),
            adapter: take_nullable(&mut other, "adapter"),
            reference_precision: take(&mut other, "reference_precision"),
            truncated_texts: take(&mut other, "truncated_texts"),
            timings: take(&mut other, "timings"),
            complete: take(&mut other, "complete"),
            other,
        })
    }
}

/// Takes the value of `key` out of `map`, where it has the type `T`; another value stays.
fn take<T: DeserializeOwned>(map: &mut Map<String, Value>, key: &str) -> Option<T> {
    let value = serde_json::from_value(map.get(key)?.clone()).ok()?;
    map.shift_remove(key);
    Some(value)
}

/// As [`take`], with `Some(None)` for null.
fn take_nullable<T: DeserializeOwned>(map: &mut Map<String, Value>, key: &str) -> Option<Option<T>> {
    take::<Option<T>>(map, key)
}

/// A field that is there: null is `Some(None)`.
fn stated<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::Provenance;
    use serde_json::{Value, json};

    fn read_and_written(value: &Value) -> Value {
        serde_json::to_value(serde_json::from_value::<Provenance>(value.clone()).unwrap()).unwrap()
    }

    #[test]
    fn nothing_of_a_strangers_provenance_is_lost() {
        for value in [
            json!({}),
            json!({ "feature": "last" }),
            json!({ "model": "axes", "dataset": [1], "adapter": null, "layer_weights": null }),
            json!({ "model": { "name": "axes", "quantize": null, "revision": 7 }, "judge": { "seed": 1 } }),
            json!({ "timings": { "tokens": "many" }, "complete": "yes", "format": 0 }),
            json!({ "dataset": { "file": 3 }, "subset": { "id": "0123abcd", "note": "x" }, "versions": { "x": 1 } }),
        ] {
            assert_eq!(read_and_written(&value), value);
        }
    }

    #[test]
    fn what_is_stated_is_typed() {
        let value = json!({
            "format": 1, "model": { "name": "m", "quantize": "q8" }, "adapter": null,
            "timings": { "texts": 1, "tokens": 2, "seconds": 0.5, "tokens_per_second": 4.0 },
        });
        let provenance: Provenance = serde_json::from_value(value).unwrap();
        assert_eq!(provenance.model_name(), Some("m"));
        assert_eq!(provenance.model.unwrap().quantize, Some(Some("q8".into())));
        assert_eq!((provenance.format, provenance.adapter), (Some(1), Some(None)));
        assert_eq!(provenance.timings.unwrap().restored, None);
        assert!(provenance.other.is_empty());
    }
}
