//! Adapter files of random weights.

use super::model::Random;

/// A tensor's name, shape and values.
pub type Named = (String, Vec<usize>, Vec<f32>);

/// The file of an attention pooling of width D with random weights.
pub fn random_adapter(d: usize, e: usize) -> Vec<u8> {
    safetensors(&attention(d, e))
}

/// The file of the same attention pooling with learned layer weights.
pub fn with_layer_weights(d: usize, e: usize, weights: &[f32]) -> Vec<u8> {
    let mut tensors = attention(d, e);
    tensors.push(("layer_weights".into(), vec![weights.len()], weights.to_vec()));
    safetensors(&tensors)
}

fn attention(d: usize, e: usize) -> Vec<Named> {
    let mut tensors = vec![("pool_token".to_string(), vec![1, 1, d])];
    for block in 0..2 {
        let at = |name: &str| format!("encoder.{block}.{name}");
        tensors.extend(["q", "k", "v", "o"].map(|name| (at(&format!("{name}_proj.weight")), vec![d, d])));
        tensors.extend(["norm1", "norm2"].map(|name| (at(&format!("{name}.weight")), vec![d])));
        tensors.extend(["norm1", "norm2"].map(|name| (at(&format!("{name}.bias")), vec![d])));
        tensors.extend([(at("mlp.0.weight"), vec![4 * d, d]), (at("mlp.0.bias"), vec![4 * d])]);
        tensors.extend([(at("mlp.3.weight"), vec![d, 4 * d]), (at("mlp.3.bias"), vec![d])]);
    }
    tensors.extend(["weight", "bias"].map(|name| (format!("out_norm.{name}"), vec![d])));
    tensors.extend([("proj.weight".into(), vec![e, d]), ("proj.bias".into(), vec![e])]);
    let mut noise = Random(11);
    tensors
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product();
            (name, shape, noise.values(count).iter().map(|x| x * 0.1).collect())
        })
        .collect()
}

/// A safetensors file of f32 tensors.
pub fn safetensors(tensors: &[Named]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape, values) in tensors {
        let start = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let entry =
            serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] });
        header.insert(name.clone(), entry);
    }
    let header = serde_json::Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}
