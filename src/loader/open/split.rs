//! Models in parts: `name-00001-of-00003.gguf` and its siblings, as llama.cpp's gguf-split writes them. The first part
//! holds the metadata; each holds tensors, and says in `split.no`, `split.count` and `split.tensors.count` which it is.

use crate::error::{Error, Result};
use crate::format::short_name;
use crate::format::{Source, gguf::Gguf};
use std::collections::BTreeSet;
use std::rc::Rc;

/// The number and the count in a part's name, which may be a path or a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The text before the number.
    pub prefix: &'a str,
    /// From 1 to `count`.
    pub number: u64,
    /// The number of parts.
    pub count: u64,
    /// The text after the count: `.gguf` or `.safetensors`, a variant before it, and the query of a URL.
    pub ending: &'a str,
}

impl<'a> Part<'a> {
    /// `None` where `name` is not that of a part.
    pub fn of(name: &'a str) -> Option<Self> {
        const LENGTH: usize = "-00001-of-00003".len();
        let path = if name.contains("://") { name.split(['?', '#']).next()? } else { name };
        // The numbers end before the ending, or before a variant: `-00001-of-00003.fp16.safetensors`.
        let mut stem = path.rsplit_once('.')?.0;
        let is_end =
            |stem: &str| stem.len() >= 5 && stem.bytes().rev().take(5).all(|byte| byte.is_ascii_digit());
        if !is_end(stem) {
            stem = stem.rsplit_once('.')?.0;
        }
        let (prefix, numbers) = stem.split_at_checked(stem.len().checked_sub(LENGTH)?)?;
        let (number, count) = numbers.strip_prefix('-')?.split_once("-of-")?;
        let five_digits = |text: &&str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        let parse = |text: &str| Some(text).filter(five_digits)?.parse().ok();
        let (number, count) = (parse(number)?, parse(count)?);
        (1..=count).contains(&number).then_some(Self { prefix, number, count, ending: &name[stem.len()..] })
    }

    /// The name of part `number`.
    pub fn sibling(&self, number: u64) -> String {
        format!("{}-{number:05}-of-{:05}{}", self.prefix, self.count, self.ending)
    }
}

/// Which part a file is, by its header, or by its name where the header does not say.
struct Place {
    number: u64,
    /// 1 is a whole file.
    count: u64,
    /// Tensors of all parts.
    tensors: Option<u64>,
}

impl Place {
    /// The place of a file that is given `alone`, or with others: a whole model may have a part's name.
    fn of(gguf: &Gguf, alone: bool) -> Result<Self> {
        let name = Part::of(short_name(&gguf.file));
        let malformed = |key: &str, expected: String, found: String| {
            Error::malformed(&gguf.file, format!("metadata `split.{key}`"), expected, found)
        };
        let tensors = gguf.u64("split.tensors.count")?;
        let count = match (gguf.u64("split.count")?, name) {
            (Some(count), Some(Part { count: of, .. })) if count.max(1) != of && (count > 1 || !alone) => {
                return Err(malformed("count", format!("{of}, as its name says"), count.to_string()));
            }
            (Some(count), _) => count,
            (None, Some(part)) => part.count,
            (None, None) => 1,
        };
        if count <= 1 {
            return Ok(Self { number: 1, count: 1, tensors: None }); // merged files say 0
        }
        let number = match (gguf.u64("split.no")?, name) {
            (Some(index), _) if index >= count => {
                return Err(malformed("no", format!("a number below {count}"), index.to_string()));
            }
            (Some(index), Some(Part { number, .. })) if index + 1 != number => {
                let expected = format!("{}, as its name says", number - 1);
                return Err(malformed("no", expected, index.to_string()));
            }
            (Some(index), _) => index + 1,
            (None, Some(part)) => part.number,
            (None, None) => return Err(malformed("no", "the number of this part".into(), "none".into())),
        };
        Ok(Self { number, count, tensors })
    }
}

/// Puts the parts of a model in order: the one with the metadata first.
///
/// # Errors
/// [`Error::SeveralModels`], [`Error::MissingPart`], [`Error::Malformed`] for numbers that cannot be.
pub(in crate::loader) fn sort(files: &mut Vec<(Rc<dyn Source>, Gguf)>) -> Result<()> {
    let mut parts = Vec::new();
    let alone = files.len() == 1;
    for (source, gguf) in files.drain(..) {
        parts.push((Place::of(&gguf, alone)?, source, gguf));
    }
    check_companions(&parts)?;
    parts.sort_by_key(|(place, ..)| place.number);
    check_all_there(&parts)?;
    files.extend(parts.into_iter().map(|(_, source, gguf)| (source, gguf)));
    Ok(())
}

type Placed = (Place, Rc<dyn Source>, Gguf);

/// Refuses files of different models.
fn check_companions(parts: &[Placed]) -> Result<()> {
    let [(place, source, _), others @ ..] = parts else { return Ok(()) };
    let first = source.name();
    let mut numbers = BTreeSet::from([place.number]);
    for (other, source, _) in others {
        let second = source.name();
        let differ = |expected: String, found: String| {
            Err(Error::SeveralModels { first: first.into(), second: second.into(), expected, found })
        };
        if place.count == 1 || other.count == 1 {
            return differ("one .gguf file, or the parts of one".into(), "a whole model".into());
        }
        if let (Some(first), Some(second)) = (Part::of(short_name(first)), Part::of(short_name(second)))
            && first.prefix != second.prefix
        {
            return differ(format!("parts of `{}`", first.prefix), format!("one of `{}`", second.prefix));
        }
        if place.count != other.count {
            return differ(format!("parts of {}", place.count), format!("a part of {}", other.count));
        }
        if place.tensors != other.tensors {
            let tensors = |tensors: Option<u64>| tensors.map_or("none".into(), |count| count.to_string());
            let expected = format!("`split.tensors.count` {} in all parts", tensors(place.tensors));
            return differ(expected, tensors(other.tensors));
        }
        if !numbers.insert(other.number) {
            return differ("each part once".into(), format!("part {} twice", other.number));
        }
    }
    Ok(())
}

/// Refuses a model without one of its parts or tensors; `parts` are in order.
fn check_all_there(parts: &[Placed]) -> Result<()> {
    let Some((place, source, _)) = parts.first() else { return Ok(()) };
    let file = source.name();
    let gap = (1..).zip(parts).find(|(number, (place, ..))| *number != place.number);
    let missing = gap.map_or(parts.len() as u64 + 1, |(number, _)| number);
    if missing <= place.count {
        let name = Part::of(file).filter(|part| part.count == place.count);
        let missing = name.map_or(format!("part {missing}"), |part| format!("`{}`", part.sibling(missing)));
        return Err(Error::MissingPart { file: file.into(), count: place.count, missing });
    }
    let tensors: u64 =
        parts.iter().map(|(_, _, gguf)| (gguf.tensors.len() + gguf.skipped.len()) as u64).sum();
    match place.tensors {
        Some(found) if found != tensors => Err(Error::Malformed {
            file: file.into(),
            item: "metadata `split.tensors.count`".into(),
            expected: format!("{tensors}, the tensors of all parts"),
            found: found.to_string(),
        }),
        _ => Ok(()),
    }
}
