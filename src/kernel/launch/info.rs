//! The sizes and factors that a launch takes, declared once: the kernel's `struct Info` and the words that are bound to
//! it come from the same list, so their order cannot drift apart.

use cubecl::server::MetadataBindingInfo;

/// Makes an [`Info`] of named values: `info! { T: rows, epsilon }` is `info.T`, a u32, and `info.epsilon`, an f32, in
/// the kernel.
macro_rules! info {
    (@value $name:ident) => { $name };
    (@value $name:ident $value:expr) => { $value };
    ($($name:ident $(: $value:expr)?),* $(,)?) => {
        $crate::kernel::launch::info::Info::new(vec![
            $($crate::kernel::launch::info::Field::new(
                stringify!($name),
                $crate::kernel::launch::info::info!(@value $name $($value)?),
            )),*
        ])
    };
}
pub(crate) use info;

/// The values of a launch, in the order of their words.
pub(crate) struct Info(Vec<Field>);

/// One value: its name in the kernel, its WGSL type and its word.
pub(crate) struct Field {
    name: &'static str,
    kind: &'static str,
    word: u32,
}

/// A host type that a field may have.
pub(crate) trait Word {
    /// Its type in the kernel.
    const KIND: &'static str;

    /// Its bits.
    fn word(self) -> u32;
}

impl Word for usize {
    const KIND: &'static str = "u32";

    fn word(self) -> u32 {
        self as u32
    }
}

impl Word for f32 {
    const KIND: &'static str = "f32";

    fn word(self) -> u32 {
        self.to_bits()
    }
}

impl Field {
    /// A field `name` with a value.
    pub(crate) fn new<W: Word>(name: &'static str, value: W) -> Self {
        Self { name, kind: W::KIND, word: value.word() }
    }
}

impl Info {
    /// An info of `fields`; [`info!`] calls it.
    pub(crate) fn new(fields: Vec<Field>) -> Self {
        Self(fields)
    }

    /// The declaration of the struct and of its binding.
    pub(crate) fn text(&self, binding: usize) -> String {
        let fields: String =
            self.0.iter().map(|field| format!("    {}: {},\n", field.name, field.kind)).collect();
        format!("struct Info {{\n{fields}}}\n@group(0) @binding({binding}) var<storage, read> info: Info;")
    }

    /// The names and types of the fields, from which the text is made.
    pub(crate) fn shape(&self) -> Vec<[&'static str; 2]> {
        self.0.iter().map(|field| [field.name, field.kind]).collect()
    }

    /// The fields as the runtime takes them: two per word of 64 bits, the first in the low half; a last one without a
    /// second has zeros in the high half.
    pub(crate) fn words(&self) -> MetadataBindingInfo {
        let word = |field: Option<&Field>| u64::from(field.map_or(0, |field| field.word));
        let pair = |pair: &[Field]| word(pair.first()) | word(pair.get(1)) << 32;
        MetadataBindingInfo::custom(self.0.chunks(2).map(pair).collect())
    }
}
