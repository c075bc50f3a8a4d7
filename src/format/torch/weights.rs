//! Finds the model's weights among the tensors of a pickle, with their names and their places in the storages.

use super::{
    not_a_checkpoint,
    value::{Pickle, Tensor, Value},
};
use crate::{
    error::{Error, Result},
    format::{TensorType, name::wrappers, tensor::extent},
};
use std::{collections::HashSet, ops::Range};

/// Keys of the outermost dictionary under which the weights may stand.
const MODEL_KEYS: [&str; 4] = ["model", "state_dict", "model_state_dict", "module"];
/// The largest length of all names together, in bytes. A dictionary within a dictionary repeats the name of the outer
/// one.
const NAMES_LIMIT: usize = 16 << 20;
/// The most dimensions that are accepted. Real weights have 5 or fewer.
const MAX_RANK: usize = 8;

/// The weights of a checkpoint: the tensors in the dictionary under one of [`MODEL_KEYS`], or else in the outermost
/// one.
pub(super) struct Weights<'a> {
    file: &'a str,
    values: &'a Pickle<'a>,
    names_len: usize,
    /// Names and tensors, in no particular order.
    pub(super) tensors: Vec<(String, &'a Tensor)>,
    /// Names of the inert values that stand where weights do, and what they are.
    pub(super) inert: Vec<(String, String)>,
}

impl<'a> Weights<'a> {
    /// Finds the weights below `root`, the outermost value of the pickle `values`.
    pub(super) fn find(file: &'a str, root: Value<'a>, values: &'a Pickle<'a>) -> Result<Self> {
        let Value::Dict(root) = root else {
            let found = match root {
                Value::Inert(_) => {
                    let object = values.describe(root);
                    format!("a pickle of {object}, whose code is not run: save its `state_dict()` instead")
                }
                root => format!("a pickle of {}", root.kind()),
            };
            return Err(not_a_checkpoint(file, found));
        };
        let mut weights = Self { file, values, names_len: 0, tensors: Vec::new(), inert: Vec::new() };
        weights.collect(root)?;

        let wrappers = wrappers(weights.tensors.iter().map(|(name, _)| name.as_str())).to_owned();
        weights.tensors.iter_mut().for_each(|(name, _)| drop(name.drain(..wrappers.len())));
        for (name, _) in &mut weights.inert {
            *name = name.strip_prefix(&wrappers).unwrap_or(name).into();
        }
        let mut names = HashSet::new();
        for (name, _) in &weights.tensors {
            if !names.insert(name) {
                let item = format!("tensor `{name}`");
                return Err(weights.malformed(item, "one of this name", "a second one"));
            }
        }
        Ok(weights)
    }

    /// Adds the tensors of the dictionary `root` and of the dictionaries in it, each of which is entered once.
    fn collect(&mut self, root: usize) -> Result<()> {
        let model = self.model(root)?;
        let mut entered = HashSet::from([model.unwrap_or(root)]);
        let mut open = vec![(String::new(), model.unwrap_or(root))];
        while let Some((outer, dict)) = open.pop() {
            for &(key, value) in &self.values.dicts[dict] {
                let (Value::Dict(_) | Value::Tensor(_) | Value::Inert(_)) = value else { continue };
                let is_root = model.is_none() && dict == root;
                if is_root && matches!(key, Value::Text(key) if key.starts_with("optimizer")) {
                    continue;
                }
                let is_weight = matches!(value, Value::Tensor(_));
                if !is_weight && !matches!(key, Value::Text(_) | Value::Int(_)) {
                    continue; // a table of something else
                }
                let name = self.name(&outer, key)?;
                match value {
                    Value::Inert(_) => {
                        let made = self.values.describe(value);
                        self.count(made.len())?;
                        self.inert.push((name, made));
                    }
                    Value::Dict(inner) if entered.insert(inner) => open.push((name, inner)),
                    Value::Dict(inner) if !self.holds_weights(inner) => {}
                    Value::Dict(_) => {
                        let item = format!("the dictionary `{name}`");
                        return Err(self.malformed(item, "one of its own", "one that stands elsewhere too"));
                    }
                    Value::Tensor(tensor) => self.tensors.push((name, &self.values.tensors[tensor])),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Whether a dictionary has weights, or dictionaries that may.
    fn holds_weights(&self, dict: usize) -> bool {
        self.values.dicts[dict].iter().any(|(_, value)| matches!(value, Value::Dict(_) | Value::Tensor(_)))
    }

    /// The dictionary of weights in the dictionary `root`, if there is one.
    fn model(&self, root: usize) -> Result<Option<usize>> {
        for model_key in MODEL_KEYS {
            let mut models = self.values.dicts[root].iter().filter_map(|&(key, value)| match (key, value) {
                (Value::Text(key), Value::Dict(dict)) if key == model_key => Some(dict),
                _ => None,
            });
            if let Some(model) = models.next() {
                return match models.next() {
                    None => Ok(Some(model)),
                    Some(_) => {
                        let item = format!("the dictionary `{model_key}`");
                        Err(self.malformed(item, "one of this name", "a second one"))
                    }
                };
            }
        }
        Ok(None)
    }

    /// The name of the value under `key` in the dictionary named `outer`.
    fn name(&mut self, outer: &str, key: Value) -> Result<String> {
        let key = match key {
            Value::Text(text) => text.to_owned(),
            Value::Int(index) => index.to_string(),
            _ => return Err(self.malformed("a weight's name", "text", key.kind())),
        };
        self.count(outer.len() + 1 + key.len())?;
        Ok(if outer.is_empty() { key } else { format!("{outer}.{key}") })
    }

    /// Adds to the length of all names and descriptions, which is bounded.
    fn count(&mut self, len: usize) -> Result<()> {
        self.names_len += len;
        if self.names_len > NAMES_LIMIT {
            return Err(Error::Absurd {
                file: self.file.into(),
                item: "the length of all names".into(),
                found: self.names_len as u64,
                limit: NAMES_LIMIT as u64,
            });
        }
        Ok(())
    }

    /// Shape and byte range of a tensor of type `dtype`. The range counts from the start of its storage.
    pub(super) fn extent(
        &self,
        name: &str,
        tensor: &Tensor,
        dtype: TensorType,
    ) -> Result<(Vec<usize>, Range<u64>)> {
        let item = || format!("tensor `{name}`");
        if tensor.altered {
            return Err(self.malformed(item(), "elements as they are", "negated or conjugated ones"));
        }
        let shape = self.sizes(name, tensor.shape)?;
        let strides = self.sizes(name, tensor.strides)?;
        let Some((_, bytes)) = extent(&shape, dtype) else {
            return Err(self.malformed(item(), "a size that fits the memory", format!("{shape:?}")));
        };
        if strides.len() != shape.len() || (bytes > 0 && !contiguous(&shape, &strides)) {
            let found = format!("strides {strides:?}");
            return Err(self.malformed(item(), format!("contiguous elements of shape {shape:?}"), found));
        }
        let storage = &self.values.storages[tensor.storage];
        let start = u64::try_from(tensor.offset).ok();
        let start = start.and_then(|offset| offset.checked_mul(dtype.block_bytes() as u64));
        match start.and_then(|start| Some(start..start.checked_add(bytes)?)) {
            Some(range) if range.end <= storage.len => Ok((shape, range)),
            _ => {
                let expected =
                    format!("{bytes} bytes within the {} of storage `{}`", storage.len, storage.key);
                Err(self.malformed(item(), expected, format!("an offset of {} elements", tensor.offset)))
            }
        }
    }

    /// The numbers of the tuple `index`, which is the shape or the strides of tensor `name`.
    fn sizes(&self, name: &str, index: usize) -> Result<Vec<usize>> {
        let tuple = &self.values.tuples[index];
        if tuple.len() > MAX_RANK {
            let (file, item) = (self.file.into(), format!("the number of dimensions of tensor `{name}`"));
            return Err(Error::Absurd { file, item, found: tuple.len() as u64, limit: MAX_RANK as u64 });
        }
        let mut sizes = Vec::new();
        for &size in tuple {
            let fits = if let Value::Int(size) = size { usize::try_from(size).ok() } else { None };
            let Some(size) = fits else {
                let found = if let Value::Int(size) = size { size.to_string() } else { size.kind().into() };
                return Err(self.malformed(format!("tensor `{name}`"), "sizes and strides from 0 up", found));
            };
            sizes.push(size);
        }
        Ok(sizes)
    }

    fn malformed(
        &self,
        item: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Error {
        Error::malformed(self.file, item, expected, found)
    }
}

/// Whether the elements lie one after the other. The stride of a dimension of 1 does not matter.
fn contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut next = 1;
    shape.iter().zip(strides).rev().all(|(&dim, &stride)| {
        let here = next;
        next *= dim;
        dim == 1 || stride == here
    })
}
