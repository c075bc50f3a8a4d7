//! Added tokens: they are found in the text before it is split, the longest first, as the `tokenizers` crate finds them;
//! here each has the id that its file gives to it, and none takes more memory than its text.

use crate::error::{Error, Result};
use fancy_regex::Regex;
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

/// The most added tokens: real models have fewer than 7,000.
pub(super) const MOST_ADDED: usize = 1 << 16;

/// A token that is found in the text before it is split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AddedToken {
    pub content: String,
    pub id: u32,
    /// Whether it must not touch another word.
    pub single_word: bool,
    /// Whether it takes the blanks before it.
    pub lstrip: bool,
    /// Whether it takes the blanks after it.
    pub rstrip: bool,
    /// Whether it is found in the normalized text.
    pub normalized: bool,
    pub special: bool,
}

/// Added tokens by their text.
#[derive(Debug)]
pub(super) struct Finder {
    tokens: HashMap<String, AddedToken>,
    /// The lengths in bytes of the tokens that begin with each byte.
    lengths: [BTreeSet<usize>; 256],
}

impl Default for Finder {
    fn default() -> Self {
        Self { tokens: HashMap::new(), lengths: std::array::from_fn(|_| BTreeSet::new()) }
    }
}

/// A stretch of a text, or an added token in it.
pub(super) enum Found<'a> {
    Text(&'a str),
    Token(u32),
}

static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\w").ok());

impl Finder {
    /// Adds a token that is found as `text`; the first of two equal ones stays.
    pub(super) fn insert(&mut self, text: String, token: AddedToken) {
        if let Some(&byte) = text.as_bytes().first() {
            self.lengths[byte as usize].insert(text.len());
            self.tokens.entry(text).or_insert(token);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The first token at or after `from`, and where it lies: the longest of those that begin first.
    fn find(&self, text: &str, from: usize) -> Option<(&AddedToken, usize, usize)> {
        let bytes = text.as_bytes();
        if self.tokens.is_empty() {
            return None;
        }
        (from..bytes.len()).find_map(|at| {
            let lengths = &self.lengths[bytes[at] as usize];
            lengths.iter().rev().find_map(|&length| {
                let token = self.tokens.get(text.get(at..at + length)?)?;
                Some((token, at, at + length))
            })
        })
    }

    /// Gives the tokens of `text` and the stretches between them to `visit`, in order, until it gives false.
    ///
    /// # Errors
    /// Those of `visit`.
    pub(super) fn split<'a>(
        &self,
        text: &'a str,
        visit: &mut dyn FnMut(Found<'a>) -> Result<bool>,
    ) -> Result<bool> {
        let (mut from, mut done) = (0, 0);
        while let Some((token, mut start, mut end)) = self.find(text, from) {
            from = end;
            let touched = is_word(text[..start].chars().next_back()) || is_word(text[end..].chars().next());
            if token.single_word && touched {
                continue;
            }
            if token.lstrip {
                start = text[..start].trim_end().len().max(done);
            }
            if token.rstrip {
                end = text.len() - text[end..].trim_start().len();
            }
            if done < start && !visit(Found::Text(&text[done..start]))? {
                return Ok(false);
            }
            if !visit(Found::Token(token.id))? {
                return Ok(false);
            }
            done = end;
        }
        Ok(done >= text.len() || visit(Found::Text(&text[done..]))?)
    }
}

/// Whether `c` belongs to a word.
fn is_word(c: Option<char>) -> bool {
    let (Some(c), Some(word)) = (c, WORD.as_ref()) else { return false };
    word.is_match(c.encode_utf8(&mut [0; 4])).unwrap_or(false)
}

/// Checks the ids of `tokens` of `file` against its vocabulary, `ids` by token: each token has one id, and no two tokens
/// share one.
///
/// # Errors
/// [`Error::Malformed`] naming the token, [`Error::Absurd`] for more tokens than any model has.
pub(super) fn check<'v>(
    file: &str,
    tokens: &[AddedToken],
    id_of: impl Fn(&str) -> Option<u32>,
    vocab: impl Iterator<Item = (&'v str, u32)>,
) -> Result<()> {
    if tokens.len() > MOST_ADDED {
        let (file, item) = (file.into(), "the number of added tokens".into());
        return Err(Error::Absurd { file, item, found: tokens.len() as u64, limit: MOST_ADDED as u64 });
    }
    let wrong = |token: &str, expected: String, found: String| {
        Err(Error::malformed(file, format!("added token `{token}`"), expected, found))
    };
    let (mut ids, mut names) = (HashMap::new(), HashMap::new());
    for AddedToken { content, id, .. } in tokens {
        if let Some(other) = id_of(content).or(names.get(content).copied())
            && other != *id
        {
            return wrong(
                content,
                format!("the id {other}, which it has elsewhere in the file"),
                format!("id {id}"),
            );
        }
        if let Some(other) = ids.insert(*id, content)
            && other != content
        {
            return wrong(content, "an id of its own".into(), format!("id {id}, which is that of `{other}`"));
        }
        names.insert(content, *id);
    }
    let (first, last) = (ids.keys().min().copied(), ids.keys().max().copied());
    let (Some(first), Some(last)) = (first, last) else { return Ok(()) };
    for (token, id) in vocab.filter(|(_, id)| (first..=last).contains(id)) {
        if let Some(content) = ids.get(&id)
            && *content != token
        {
            return wrong(content, "an id of its own".into(), format!("id {id}, which is that of `{token}`"));
        }
    }
    Ok(())
}
