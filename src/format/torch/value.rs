//! The values that a pickle can hold, in flat tables that point to each other by index.

/// A class or a function that a pickle may name.
#[derive(Clone, Copy)]
pub(super) enum Global {
    OrderedDict,
    /// `torch.Size`, a tuple.
    Size,
    /// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])`
    Tensor,
    /// `_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype[, metadata])`
    TensorOfDtype,
    /// `_rebuild_parameter(tensor, requires_grad, hooks)`
    Parameter,
    Dtype(&'static str),
    Storage(&'static StorageType),
}

/// A class of storages: all of one element type.
pub(super) struct StorageType {
    pub(super) class: &'static str,
    /// torch's name of the element type.
    pub(super) dtype: &'static str,
    /// Bytes of one element.
    pub(super) bytes: u64,
}

/// One value; the indices are of the [`Pickle`]'s tables.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    None,
    Int(i64),
    Text(&'a str),
    /// A boolean, a float, bytes, a number beyond 64 bits: never asked for.
    Plain,
    /// Its values are never asked for.
    List,
    Tuple(usize),
    Dict(usize),
    Storage(usize),
    Tensor(usize),
    Global(Global),
}

impl Value<'_> {
    /// What messages call such a value.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Int(_) => "an integer",
            Self::Text(_) => "text",
            Self::Plain => "a plain value",
            Self::List => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Dict(_) => "a dictionary",
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
            Self::Global(_) => "a class or a function",
        }
    }
}

/// Bytes that tensors lie in: one entry of the archive.
pub(super) struct Storage<'a> {
    pub(super) dtype: &'static str,
    pub(super) key: &'a str,
    /// In bytes.
    pub(super) len: u64,
}

/// A view into a storage; offset and strides count elements.
pub(super) struct Tensor {
    pub(super) dtype: &'static str,
    /// Index of its storage.
    pub(super) storage: usize,
    pub(super) offset: i64,
    /// Indices of two tuples.
    pub(super) shape: usize,
    pub(super) strides: usize,
    /// Whether its elements are stored negated or conjugated.
    pub(super) altered: bool,
}

/// All values of a pickle.
#[derive(Default)]
pub(super) struct Pickle<'a> {
    pub(super) tuples: Vec<Vec<Value<'a>>>,
    /// In file order; a key may stand there twice.
    pub(super) dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    pub(super) storages: Vec<Storage<'a>>,
    pub(super) tensors: Vec<Tensor>,
}

impl<'a> Pickle<'a> {
    pub(super) fn dict(&mut self) -> Value<'a> {
        self.dicts.push(Vec::new());
        Value::Dict(self.dicts.len() - 1)
    }

    pub(super) fn tuple(&mut self, items: Vec<Value<'a>>) -> Value<'a> {
        self.tuples.push(items);
        Value::Tuple(self.tuples.len() - 1)
    }
}
