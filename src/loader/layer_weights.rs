//! The learned layer weights of an adapter: a JSON list, or the tensor `layer_weights` of a safetensors file.

use crate::error::{Error, Result};
use crate::format::{Source, safetensors::Safetensors};
use crate::kernel::quant;

/// No model has more layers than this.
const MAX_BYTES: u64 = 64 << 10;

/// The weights w, before their softmax; one a layer.
///
/// # Errors
/// [`Error::MissingTensor`], [`Error::Malformed`].
pub async fn read(source: &dyn Source) -> Result<Vec<f32>> {
    let file = source.name();
    if !file.ends_with(".safetensors") {
        let bytes = source.read(0..source.size().min(MAX_BYTES)).await?;
        return serde_json::from_slice(&bytes).map_err(|e| Error::Malformed {
            file: file.into(),
            item: "the layer weights".into(),
            expected: "a JSON list of numbers, or a .safetensors file".into(),
            found: e.to_string(),
        });
    }
    let tensors = Safetensors::read(source).await?.tensors;
    let tensor = tensors
        .into_iter()
        .find(|tensor| tensor.name == "layer_weights")
        .ok_or_else(|| Error::MissingTensor { file: file.into(), tensor: "layer_weights".into() })?;
    match tensor.shape[..] {
        [_] if tensor.range.end - tensor.range.start <= MAX_BYTES => {
            Ok(quant::dequantize(tensor.dtype, &source.read(tensor.range).await?))
        }
        _ => Err(Error::Malformed {
            file: file.into(),
            item: "layer_weights".into(),
            expected: "one number a layer".into(),
            found: format!("shape {:?}", tensor.shape),
        }),
    }
}
