//! The targets that load weights and embed: every vector is finite and of unit length, alone as in a batch.

use super::{Outcome, broken, memory, parsers, refused, seeds};
use crate::support::model::Random;
use gran_ted::device::Device;
use gran_ted::encoder::{Placement, Settings, TextEncoder};
use gran_ted::error::Result;
use gran_ted::format::Source;
use gran_ted::kernel::Arithmetic;
use gran_ted::loader::{AdapterFile, Header, Loading};
use gran_ted::model::{Feature, Pooling, Precision};
use gran_ted::quant::Quantize;
use pollster::block_on;
use std::cell::RefCell;
use std::rc::Rc;

pub fn gguf(data: &[u8]) -> Outcome {
    model(vec![memory("m.gguf", data)], data)
}

pub fn safetensors(data: &[u8]) -> Outcome {
    model(parsers::parts(data), data)
}

fn model(files: Vec<Rc<dyn Source>>, data: &[u8]) -> Outcome {
    let encoder = match parsers::header(files).and_then(|header| load(header, Placement::new(false))) {
        Ok(encoder) => encoder,
        Err(error) => return refused(&error, data),
    };
    let layers = encoder.config.num_hidden_layers;
    let weights = (0..layers).map(|layer| layer as f32 * 50.0 - 100.0).collect();
    let mut outcome = String::new();
    for settings in [
        Settings::new(Feature::NormAvg, Pooling::Mean),
        Settings::new(Feature::Last, Pooling::LastToken),
        Settings::new(Feature::Weighted(weights), Pooling::Mean),
        Settings { precision: Precision::Reference, ..Settings::new(Feature::Layer(0), Pooling::Mean) },
    ] {
        outcome += &embed(&encoder, &settings, &[vec![0, 3, 11], vec![5; 7], vec![1]], data)?;
        if let Ok(found) = block_on(encoder.embed(&["the red cube", "日本 <|im_start|>"], &settings)) {
            unit_length(&found.vectors, "texts")?;
        }
    }
    Ok(outcome)
}

fn load(header: Header, placement: Placement) -> Result<TextEncoder> {
    let mut loading = Loading::new(header, Device::cpu())?.placed(placement);
    while block_on(loading.step())?.is_some() {}
    loading.finish()
}

/// Embeds token ids together and one by one.
fn embed(encoder: &TextEncoder, settings: &Settings, texts: &[Vec<u32>], data: &[u8]) -> Outcome {
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let vectors = match block_on(encoder.embed_ids(&texts, settings)) {
        Ok(vectors) => vectors,
        Err(error) => return refused(&error, data),
    };
    let (feature, pooling) = (&settings.feature, &settings.pooling);
    unit_length(&vectors, &format!("{feature} {pooling}"))?;
    for (text, vector) in texts.iter().zip(&vectors) {
        match block_on(encoder.embed_ids(&[text], settings)) {
            Ok(alone) if alone[0] == *vector => {}
            Ok(_) => return broken("batch", format!("{feature} {pooling}: a text alone has another vector")),
            Err(error) => {
                return broken("batch", format!("{feature} {pooling}: a text alone is refused: {error}"));
            }
        }
    }
    Ok("embedded".into())
}

fn unit_length(vectors: &[Vec<f32>], what: &str) -> Outcome {
    for vector in vectors {
        let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        // Reference precision rounds to bfloat16. NaN is not below.
        if (length - 1.0).abs() > 0.02 || length.is_nan() {
            return broken("vector", format!("{what}: a vector of length {length}"));
        }
    }
    Ok(String::new())
}

thread_local! {
    /// The encoder that adapters are loaded for.
    static ENCODER: RefCell<Option<Rc<TextEncoder>>> = const { RefCell::new(None) };
}

pub fn adapter(data: &[u8]) -> Outcome {
    with_adapter("a.safetensors", data)
}

pub fn adapter_torch(data: &[u8]) -> Outcome {
    with_adapter("a.pt", data)
}

pub fn adapter_json(data: &[u8]) -> Outcome {
    with_adapter("w.json", data)
}

fn encoder() -> Result<Rc<TextEncoder>> {
    ENCODER.with_borrow_mut(|kept| {
        if let Some(encoder) = kept {
            return Ok(encoder.clone());
        }
        let header = parsers::header(vec![memory("m.gguf", &seeds::small().write())])?;
        let encoder = Rc::new(load(header, Placement::new(false))?);
        *kept = Some(encoder.clone());
        Ok(encoder)
    })
}

fn with_adapter(name: &str, data: &[u8]) -> Outcome {
    let encoder = match encoder() {
        Ok(encoder) => encoder,
        Err(error) => return broken("seed", error.to_string()),
    };
    let file = match block_on(AdapterFile::open(memory(name, data))) {
        Ok(file) => file,
        Err(error) => return refused(&error, data),
    };
    let feature = file.layer_weights.clone().map_or(Feature::NormAvg, Feature::Weighted);
    let mut outcome = String::new();
    for precision in [Precision::Full, Precision::Reference] {
        let pooling = match block_on(file.load(&encoder, precision)) {
            Ok(adapter) => Pooling::Adapter(Rc::new(adapter)),
            Err(_) if file.kind.is_none() => Pooling::Mean,
            Err(error) => return refused(&error, data),
        };
        let settings = Settings { precision, ..Settings::new(feature.clone(), pooling) };
        outcome += &embed(&encoder, &settings, &[vec![1, 2, 3, 4], vec![7, 8]], data)?;
    }
    Ok(outcome)
}

/// A model whose parts fit each other, of sizes, types, values and settings that the bytes choose.
pub fn made(data: &[u8]) -> Outcome {
    let mut choices = data.iter().map(|byte| usize::from(*byte)).chain(std::iter::repeat(0));
    let mut pick = |count: usize| choices.next().unwrap_or(0) % count;
    let made = seeds::Made {
        family: ["llama", "qwen2", "qwen3", "qwen3_vl"][pick(4)],
        hidden_size: [32, 64, 96, 160, 256][pick(5)],
        intermediate_size: [32, 64, 96, 352][pick(4)],
        num_hidden_layers: 1 + pick(3),
        num_key_value_heads: 1 + pick(4),
        heads_for_each: [1, 2, 3, 8][pick(4)],
        head_dim: [4, 8, 12, 16, 32, 64][pick(6)],
        vocab_size: [40, 1, 2, 300][pick(4)],
        rms_norm_eps: ["1e-6", "0", "1e-45", "1e38", "1e-5", "1"][pick(6)],
        rope_theta: ["10000.0", "1.0000001", "1e308", "5e6", "2"][pick(5)],
        max_position_embeddings: [64, 1, 2, 3, 2048, 1_000_000_000][pick(6)],
        values: std::array::from_fn(|_| (pick(3), pick(9))),
    };
    let (quantize, int8, streamed) = (pick(4), pick(3) == 0, pick(3) == 0);
    let batch_tokens = [1024, 1, 7, 64][pick(4)];
    let layer_weights =
        (0..made.num_hidden_layers).map(|_| [0.0, 1.0, 3e38, -3e38, 1e-40][pick(5)]).collect();
    let feature = match pick(5) {
        0 => Feature::NormAvg,
        1 => Feature::Last,
        2 => Feature::Penultimate,
        3 => Feature::Layer(pick(5)),
        _ => Feature::Weighted(layer_weights),
    };
    let pooling = if pick(2) == 0 { Pooling::Mean } else { Pooling::LastToken };
    let precision = if pick(4) == 0 { Precision::Reference } else { Precision::Full };
    let settings = Settings { precision, ..Settings::new(feature, pooling) };
    let longest = made.max_position_embeddings;
    let mut random = Random(pick(256) as u64);
    let texts: Vec<Vec<u32>> = (0..1 + pick(4))
        .map(|_| (0..(1 + pick(70)).min(longest)).map(|_| random.below(made.vocab_size) as u32).collect())
        .collect();

    let encoder = parsers::header(made.files()).and_then(|header| {
        let header = match quantize {
            0 => header.quantize(Quantize::Q8),
            1 => header.quantize(Quantize::Q4),
            _ => header,
        };
        let header = if int8 { header.computed_in(Arithmetic::Int8) } else { header };
        load(header, Placement { streamed, batch_tokens })
    });
    let encoder = match encoder {
        Ok(encoder) => encoder,
        Err(error) => return refused(&error, data),
    };
    let outcome = embed(&encoder, &settings, &texts, data)?;
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    if let Ok(layers) = block_on(encoder.layer_vectors(&texts, &settings.pooling)) {
        let mut values = layers.iter().flat_map(|layer| layer.hidden.iter().chain(&layer.normed)).flatten();
        if values.any(|value| !value.is_finite()) {
            return broken("vector", "layer_vectors: a value that is not finite");
        }
    }
    Ok(format!("{outcome} {} {quantize} {int8} {streamed}", made.family))
}
