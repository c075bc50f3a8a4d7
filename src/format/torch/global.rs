//! The classes and functions that a pickle names. Calling one that is known gives the description of a tensor; any other
//! one gives an inert value. No code of the file runs.

use super::pickle::Machine;
use super::value::{Global, Storage, StorageType, Tensor, Value};
use crate::error::{Error, Result};

const fn storage(class: &'static str, dtype: &'static str, bytes: u64) -> StorageType {
    StorageType { class, dtype, bytes }
}

static STORAGE_TYPES: [StorageType; 13] = [
    storage("FloatStorage", "float32", 4),
    storage("HalfStorage", "float16", 2),
    storage("BFloat16Storage", "bfloat16", 2),
    storage("DoubleStorage", "float64", 8),
    storage("LongStorage", "int64", 8),
    storage("IntStorage", "int32", 4),
    storage("ShortStorage", "int16", 2),
    storage("CharStorage", "int8", 1),
    storage("ByteStorage", "uint8", 1),
    storage("BoolStorage", "bool", 1),
    storage("ComplexFloatStorage", "complex64", 8),
    storage("ComplexDoubleStorage", "complex128", 16),
    // counted in bytes; the tensor names the element type
    storage("UntypedStorage", "uint8", 1),
];

/// The element types that have no class of storages.
const NEW_DTYPES: [&str; 9] = [
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "complex32",
    "uint16",
    "uint32",
    "uint64",
];

impl Global {
    /// The class or function `name` of `module`, if it makes tensors or dictionaries.
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("collections", "OrderedDict" | "defaultdict") => Some(Self::OrderedDict),
            ("torch", "Size") => Some(Self::Size),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Self::Tensor),
            ("torch._utils", "_rebuild_tensor_v3") => Some(Self::TensorOfDtype),
            ("torch._utils", "_rebuild_parameter") => Some(Self::Parameter),
            ("torch" | "torch.storage", _) => Self::element_type(name),
            _ => None,
        }
    }

    /// Its name in messages.
    fn name(self) -> &'static str {
        match self {
            Self::OrderedDict => "OrderedDict",
            Self::Size => "torch.Size",
            Self::Tensor => "_rebuild_tensor_v2",
            Self::TensorOfDtype => "_rebuild_tensor_v3",
            Self::Parameter => "_rebuild_parameter",
            Self::Dtype(name) => name,
            Self::Storage(class) => class.class,
        }
    }

    fn element_type(name: &str) -> Option<Self> {
        if let Some(storage) = STORAGE_TYPES.iter().find(|storage| storage.class == name) {
            return Some(Self::Storage(storage));
        }
        let mut dtypes = STORAGE_TYPES.iter().map(|storage| storage.dtype).chain(NEW_DTYPES);
        dtypes.find(|dtype| *dtype == name).map(Self::Dtype)
    }
}

impl<'a> Machine<'a> {
    /// The class or function of which `names` are the module and the name.
    pub(super) fn global(&mut self, names: [Value<'a>; 2]) -> Result<Value<'a>> {
        let [Value::Text(module), Value::Text(name)] = names else {
            return Err(self.malformed("the name of a global", names.map(Value::kind).join(" and ")));
        };
        match Global::find(module, name) {
            Some(global) => Ok(Value::Global(global)),
            None => {
                self.values.unknown.push([module, name]);
                Ok(Value::Inert(self.values.unknown.len() - 1))
            }
        }
    }

    /// The result of calling `function` with `arguments`: an inert one where either is inert.
    pub(super) fn reduce(&mut self, function: Value<'a>, arguments: Value<'a>) -> Result<Value<'a>> {
        if let Some(inert) = [function, arguments].into_iter().find(|value| matches!(value, Value::Inert(_)))
        {
            return Ok(inert);
        }
        let (Value::Global(function), Value::Tuple(index)) = (function, arguments) else {
            let found = format!("{} with {}", function.kind(), arguments.kind());
            return Err(self.malformed("a function with a tuple of arguments", found));
        };
        let arguments = &self.values.tuples[index][..];
        let (view, dtype, metadata) = match (function, arguments) {
            // An argument is the default of a defaultdict, or the items of a very old OrderedDict: no weights.
            (Global::OrderedDict, _) => return Ok(self.values.dict()),
            (Global::Size, [size @ Value::Tuple(_)]) => return Ok(*size),
            (Global::Parameter, [tensor @ Value::Tensor(_), _, _]) => return Ok(*tensor),
            (Global::Tensor, [view @ .., _, _]) if view.len() == 4 => (view, None, None),
            (Global::Tensor, [view @ .., _, _, metadata]) => (view, None, Some(*metadata)),
            (Global::TensorOfDtype, [view @ .., _, _, Value::Global(Global::Dtype(dtype))]) => {
                (view, Some(*dtype), None)
            }
            (Global::TensorOfDtype, [view @ .., _, _, Value::Global(Global::Dtype(dtype)), metadata]) => {
                (view, Some(*dtype), Some(*metadata))
            }
            // A tensor of what is not known, such as a storage of another type or of another shape's class.
            _ => return self.inert_or(arguments, |machine| machine.wrong_arguments(function, arguments)),
        };
        let &[Value::Storage(storage), Value::Int(offset), Value::Tuple(shape), Value::Tuple(strides)] = view
        else {
            return self.inert_or(arguments, |machine| machine.wrong_arguments(function, arguments));
        };
        let altered = match metadata {
            None | Some(Value::None) => false,
            Some(Value::Dict(dict)) => !self.values.dicts[dict].is_empty(),
            Some(_) => {
                return self.inert_or(arguments, |machine| machine.wrong_arguments(function, arguments));
            }
        };
        let dtype = dtype.unwrap_or(self.values.storages[storage].dtype);
        self.values.tensors.push(Tensor { dtype, storage, offset, shape, strides, altered });
        Ok(Value::Tensor(self.values.tensors.len() - 1))
    }

    /// The first inert value of `values`, which makes an inert one of the whole, or the `error`.
    fn inert_or(&self, values: &[Value<'a>], error: impl FnOnce(&Self) -> Error) -> Result<Value<'a>> {
        let inert = values.iter().find(|value| matches!(value, Value::Inert(_)));
        inert.copied().ok_or_else(|| error(self))
    }

    fn wrong_arguments(&self, function: Global, arguments: &[Value]) -> Error {
        self.malformed(format!("the arguments of {}", function.name()), kinds(arguments))
    }

    /// The storage that `('storage', class, key, location, number of elements)` stands for.
    pub(super) fn persistent(&mut self, id: Value<'a>) -> Result<Value<'a>> {
        let Value::Tuple(index) = id else {
            return Err(self.malformed("the id of a storage", id.kind()));
        };
        let id = &self.values.tuples[index][..];
        let &[
            Value::Text("storage"),
            Value::Global(Global::Storage(class)),
            Value::Text(key),
            _,
            Value::Int(len),
        ] = id
        else {
            return self.inert_or(id, |machine| machine.malformed("the id of a storage", kinds(id)));
        };
        let Some(len) = u64::try_from(len).ok().and_then(|len| len.checked_mul(class.bytes)) else {
            return Err(self.malformed(format!("a length of storage `{key}`"), len.to_string()));
        };
        self.values.storages.push(Storage { dtype: class.dtype, key, len });
        Ok(Value::Storage(self.values.storages.len() - 1))
    }

    /// Sets the attributes of an object. An `OrderedDict` of weights has `_metadata`, which nothing needs.
    pub(super) fn build(&mut self, state: Value<'a>) -> Result<()> {
        match (self.top()?, state) {
            (Value::Inert(_), _) | (Value::Dict(_), Value::Dict(_) | Value::Inert(_)) => Ok(()),
            (object, state) => {
                let found = format!("{} of {}", state.kind(), object.kind());
                Err(self.malformed("the attributes of an ordered dictionary", found))
            }
        }
    }
}

/// The types of a tuple's values, for messages: of the first eight, as a tuple may have millions.
fn kinds(values: &[Value]) -> String {
    let first = values.iter().take(8).map(|value| value.kind()).collect::<Vec<_>>();
    format!("({})", first.join(", "))
}
