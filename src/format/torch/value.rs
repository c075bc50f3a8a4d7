//! The values that a pickle can hold. They stand in flat tables and refer to each other by index, so that neither deep
//! nor shared nor circular ones can do harm.

/// A class or a function that a pickle may name.
#[derive(Clone, Copy)]
pub(super) enum Global {
    /// `collections.OrderedDict` or `defaultdict`, a dictionary.
    OrderedDict,
    /// `torch.Size`, a tuple.
    Size,
    /// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])`
    Tensor,
    /// `_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype[, metadata])`
    TensorOfDtype,
    /// `_rebuild_parameter(tensor, requires_grad, hooks)`
    Parameter,
    /// An element type, by torch's name.
    Dtype(&'static str),
    /// A class of storages.
    Storage(&'static StorageType),
}

/// A class of storages, whose elements are all of one type.
pub(super) struct StorageType {
    /// The name of the class.
    pub(super) class: &'static str,
    /// The element type, by torch's name.
    pub(super) dtype: &'static str,
    /// The size of one element in bytes.
    pub(super) bytes: u64,
}

/// One value. Each `usize` is an index into a table of the [`Pickle`].
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    None,
    Int(i64),
    Text(&'a str),
    /// A boolean, a float, bytes or an integer of more than 64 bits. Nothing reads its value.
    Plain,
    /// A list. Nothing reads its values.
    List,
    Tuple(usize),
    Dict(usize),
    Storage(usize),
    Tensor(usize),
    Global(Global),
    /// A class or a function that is not known here, or what a pickle makes with it: an index into the names. Nothing reads
    /// it, and nothing is run for it.
    Inert(usize),
}

impl Value<'_> {
    /// The name of this type of value in messages.
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
            Self::Inert(_) => "an object of another program",
        }
    }
}

/// The bytes that tensors are views of: one entry of the archive.
pub(super) struct Storage<'a> {
    /// The element type, by torch's name.
    pub(super) dtype: &'static str,
    /// The name of the entry.
    pub(super) key: &'a str,
    /// The length in bytes.
    pub(super) len: u64,
}

/// A view of a storage. Offset and strides count elements.
pub(super) struct Tensor {
    /// The element type, by torch's name.
    pub(super) dtype: &'static str,
    /// The index of its storage.
    pub(super) storage: usize,
    /// The element of the storage with which it begins.
    pub(super) offset: i64,
    /// The index of the tuple that is its shape.
    pub(super) shape: usize,
    /// The index of the tuple of its strides.
    pub(super) strides: usize,
    /// Whether its elements are stored negated or conjugated.
    pub(super) altered: bool,
}

/// The tables of all values of a pickle.
#[derive(Default)]
pub(super) struct Pickle<'a> {
    pub(super) tuples: Vec<Vec<Value<'a>>>,
    /// The items of each dictionary, in the order of the file. A key may stand there twice.
    pub(super) dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    pub(super) storages: Vec<Storage<'a>>,
    pub(super) tensors: Vec<Tensor>,
    /// Module and name of each class or function that is not known here.
    pub(super) unknown: Vec<[&'a str; 2]>,
}

impl<'a> Pickle<'a> {
    /// What is known of `value`: of an inert one, the name by which it was made.
    pub(super) fn describe(&self, value: Value) -> String {
        match value {
            Value::Inert(index) => {
                let [module, name] =
                    self.unknown[index].map(|word| word.chars().take(80).collect::<String>());
                format!("an object of `{module}.{name}`")
            }
            value => value.kind().into(),
        }
    }

    /// Adds an empty dictionary.
    pub(super) fn dict(&mut self) -> Value<'a> {
        self.dicts.push(Vec::new());
        Value::Dict(self.dicts.len() - 1)
    }

    /// Adds a tuple of `items`.
    pub(super) fn tuple(&mut self, items: Vec<Value<'a>>) -> Value<'a> {
        self.tuples.push(items);
        Value::Tuple(self.tuples.len() - 1)
    }
}
