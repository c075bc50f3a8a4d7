//! Enums whose variants are written, read and listed by one name: settings, types of the data set, model families.

/// Defines such an enum. The name of a variant is what `Display` and serde write and what `FromStr` and serde read;
/// further names behind `|` are read as well. Another name is an
/// [`UnknownOption`](crate::error::Error::UnknownOption) of the option in parentheses, which says `expected`, or the
/// names with commas between them.
///
/// ```text
/// named! {
///     /// The kind of device that a person asks for.
///     pub enum DeviceKind("device", expected "cpu or gpu") {
///         /// The processor.
///         Cpu = "cpu",
///         /// The graphics card.
///         Gpu = "gpu" | "webgpu",
///     }
/// }
/// ```
macro_rules! named {
    (
        $(#[$attribute:meta])*
        pub enum $type:ident($option:literal $(, expected $expected:literal)?) {
            $($(#[$variant_attribute:meta])* $variant:ident = $name:literal $(| $alias:literal)*,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(into = "&'static str", try_from = "String")]
        pub enum $type {
            $($(#[$variant_attribute])* $variant,)+
        }

        impl $type {
            /// Every variant, in the order in which they are defined and listed.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name by which the variant is written.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::error::Error;

            fn from_str(found: &str) -> $crate::error::Result<Self> {
                match found {
                    $($name $(| $alias)* => Ok(Self::$variant),)+
                    _ => {
                        let names = [$($name,)+].join(", ");
                        let expected = [$($expected,)? names.as_str()][0].into();
                        Err($crate::error::Error::UnknownOption { option: $option, expected, found: found.into() })
                    }
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = $crate::error::Error;

            fn try_from(found: String) -> $crate::error::Result<Self> {
                found.parse()
            }
        }

        impl From<$type> for &'static str {
            fn from(value: $type) -> Self {
                value.name()
            }
        }
    };
}

pub(crate) use named;

#[cfg(test)]
mod tests {
    named! {
        /// Two variants with the names as the wording of the choices.
        pub enum Plain("plain option") {
            /// The first.
            First = "the first",
            /// The second.
            Second = "the second",
        }
    }

    named! {
        /// A variant with an alias, and a wording of its own.
        pub enum Worded("worded option", expected "one or two") {
            /// The first.
            One = "one",
            /// The second.
            Two = "two" | "2" | "zwei",
        }
    }

    #[test]
    fn names_are_written_and_read() {
        assert_eq!(Plain::ALL, [Plain::First, Plain::Second]);
        assert_eq!(format!("[{:>10}]", Plain::First), "[ the first]");
        assert_eq!(serde_json::to_string(&Worded::ALL).unwrap(), r#"["one","two"]"#);
        assert_eq!(serde_json::from_str::<[Worded; 3]>(r#"["two", "2", "zwei"]"#).unwrap(), [Worded::Two; 3]);
        assert_eq!("2".parse::<Worded>().unwrap(), Worded::Two);
    }

    #[test]
    fn other_names_are_refused() {
        let message = "third".parse::<Plain>().unwrap_err().to_string();
        assert_eq!(message, "plain option `third` is not known, expected the first, the second");
        let message = serde_json::from_str::<Worded>("\"One\"").unwrap_err().to_string();
        assert_eq!(message, "worded option `One` is not known, expected one or two");
    }
}
