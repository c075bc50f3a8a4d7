//! What stands before the names of a model's tensors: checkpoints of several parts, wrappers and trainers each put
//! something there.

use super::names::Scheme;
use crate::error::{Error, Result};
use std::collections::BTreeSet;

/// Where the network's tensors stand among those of a checkpoint.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefix {
    /// What stands before the names: `model.`, `module.model.language_model.`, …
    pub prefix: String,
    /// The full name of the tensor that serves as token table, and the name that it has to have.
    table: Option<[String; 2]>,
}

/// The name of the output head, which is the token table in a model that ties them.
const HEAD: &str = "lm_head.weight";

impl Prefix {
    /// Finds the network among the tensors `names` of `file` by what follows the prefix: a token table, a first layer with
    /// an attention, and a final norm where `has_norm`. Where `tied`, an output head serves as the table.
    ///
    /// Halves for images and other decoders have some of these, or lie under a prefix that has no table. Where no prefix
    /// has everything, the one that has most is taken, and what is missing is named later. The flag says whether one has
    /// everything.
    ///
    /// # Errors
    /// [`Error::Malformed`] where two prefixes have everything.
    pub(super) fn find<'a>(
        file: &str,
        names: impl Iterator<Item = &'a str>,
        scheme: &Scheme,
        has_norm: bool,
        tied: bool,
    ) -> Result<(Self, bool)> {
        let [table, layer, norm] =
            [scheme.name("embed_tokens.weight"), scheme.first_layer(), scheme.name("norm.weight")];
        let (mut tables, mut layers, mut norms) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut others, mut heads) = (Vec::new(), Vec::new());
        for name in names {
            let before = |end: &str| {
                name.strip_suffix(end).filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
            };
            tables.extend(before(&table));
            others.extend(scheme.tables().skip(1).filter_map(|other| Some((before(&other)?, name))));
            norms.extend(before(&norm));
            layers.extend(before(&layer).filter(|prefix| prefix.ends_with(scheme.prefix_end)));
            heads.extend(before(HEAD).map(|prefix| (prefix, name)));
        }
        let whole = |table: &dyn Fn(&str) -> bool| -> Vec<&str> {
            let has_norm = |prefix: &&str| !has_norm || norms.contains(prefix);
            layers.iter().copied().filter(|prefix| has_norm(prefix) && table(prefix)).collect()
        };
        let of = |prefix: &str, named: Option<&str>| Self {
            prefix: prefix.into(),
            table: named.map(|named| [named.into(), table.clone()]),
        };

        match whole(&|prefix| tables.contains(prefix))[..] {
            [prefix] => return Ok((of(prefix, None), true)),
            [first, second, ..] => {
                let found = format!("two, under `{first}` and under `{second}`");
                return Err(Error::malformed(file, "the list of tensors", "one network", found));
            }
            [] => {}
        }
        let other = |prefix: &str| others.iter().find(|(before, _)| *before == prefix);
        if let [prefix] = whole(&|prefix| other(prefix).is_some())[..]
            && let Some((_, name)) = other(prefix)
        {
            return Ok((of(prefix, Some(name)), true));
        }
        // A head stands beside the network, or beside a module that holds it.
        let head = |prefix: &str| heads.iter().find(|(before, _)| prefix.starts_with(before));
        if tied
            && let [prefix] = whole(&|prefix| head(prefix).is_some())[..]
            && let Some((_, name)) = head(prefix)
        {
            return Ok((of(prefix, Some(name)), true));
        }
        let most = whole(&|_| true).into_iter().next();
        let most = most.or(layers.iter().next().copied()).or(tables.iter().next().copied());
        Ok((of(most.unwrap_or_default(), None), false))
    }

    /// The network at a prefix that is known, and the first of `schemes` whose first layer lies there.
    pub(super) fn at(
        prefix: &str,
        names: &[&str],
        schemes: &'static [Scheme],
    ) -> Option<(&'static Scheme, Self)> {
        let has = |name: &str| names.iter().any(|other| other.strip_prefix(prefix) == Some(name));
        let scheme = schemes.iter().find(|scheme| has(&scheme.first_layer()))?;
        let mut tables = scheme.tables();
        let first = tables.next()?;
        let named = if has(&first) { None } else { tables.find(|table| has(table)) };
        let table = named.map(|named| [format!("{prefix}{named}"), first]);
        Some((scheme, Self { prefix: prefix.into(), table }))
    }

    /// The part of `full` that all exports share; `None` for a tensor of something else.
    pub(super) fn strip<'a>(&'a self, full: &'a str) -> Option<&'a str> {
        match &self.table {
            Some([named, table]) if named == full => Some(table),
            _ => full.strip_prefix(self.prefix.as_str()),
        }
    }
}
