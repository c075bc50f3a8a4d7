//! spiece.model, tokenizer.model, sentencepiece.bpe.model: SentencePiece's `ModelProto`, of whose fields those are read
//! that decide ids. <https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto>
//!
//! ```text
//! message: fields, each a varint (number << 3 | type) and a value: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes
//! ```

use super::keys::Reading;
use super::pieces::MOST_PIECES;
use super::sentencepiece::{Kind, Spec, Token, Type};
use crate::error::{Error, Result};

/// Whether `bytes` begin as a `ModelProto` does: with a piece, or with the trainer's settings.
pub(super) fn begins(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0x0a | 0x12))
}

/// What the `ModelProto` in `bytes` says.
///
/// # Errors
/// [`Error::Malformed`] where it is none, or needs what is not applied; [`Error::UnknownTokenizer`] for a model of another
/// kind.
pub(super) fn read(reading: &Reading, bytes: &[u8]) -> Result<Spec> {
    let malformed = |found: String| reading.malformed("model", "a ModelProto of SentencePiece", found);

    // 1. The fields, with the defaults of the schema.
    let mut spec = Spec {
        kind: Kind::Unigram,
        tokens: Vec::new(),
        charsmap: Vec::new(),
        space_prefix: true,
        remove_extra_whitespaces: true,
        byte_fallback: false,
        unknown: Some(0),
        begin: Some(1),
        end: Some(2),
        padding: None,
        control_in_texts: false,
    };
    let (mut model_type, mut refused) = (1, None);
    let is_whole = fields(bytes, &mut |field, value| {
        match (field, value) {
            (1, Value::Bytes(piece)) => spec.tokens.push(token(piece)?),
            (2, Value::Bytes(trainer)) => fields(trainer, &mut |field, value| {
                let id = || value.int().and_then(|id| u32::try_from(id).ok());
                match field {
                    3 => model_type = value.int()?,
                    24 if value.int()? != 0 => refused = Some("treat_whitespace_as_suffix"),
                    35 => spec.byte_fallback = value.int()? != 0,
                    40 => spec.unknown = id(),
                    41 => spec.begin = id(),
                    42 => spec.end = id(),
                    43 => spec.padding = id(),
                    _ => {}
                }
                Some(())
            })?,
            (3, Value::Bytes(normalizer)) => fields(normalizer, &mut |field, value| {
                match (field, &value) {
                    (2, Value::Bytes(charsmap)) => spec.charsmap = charsmap.to_vec(),
                    (3, _) => spec.space_prefix = value.int()? != 0,
                    (4, _) => spec.remove_extra_whitespaces = value.int()? != 0,
                    (5, _) if value.int()? == 0 => refused = Some("escape_whitespaces"),
                    _ => {}
                }
                Some(())
            })?,
            _ => {}
        }
        (spec.tokens.len() <= MOST_PIECES).then_some(())
    });
    if is_whole.is_none() {
        let pieces = spec.tokens.len();
        return Err(malformed(format!("a message that is none after {pieces} pieces")));
    }

    // 2. What is read of it.
    spec.kind = match model_type {
        1 => Kind::Unigram,
        2 => Kind::Scored,
        other => {
            let found = match other {
                3 => "words".into(),
                4 => "characters".into(),
                _ => format!("model_type {other}"),
            };
            let expected = "a unigram or BPE model of SentencePiece";
            return Err(Error::UnknownTokenizer { file: reading.file.into(), expected, found });
        }
    };
    spec.control_in_texts = spec.kind == Kind::Unigram;
    match refused {
        Some(key) => {
            Err(reading.malformed(key, "its default, since nothing else is applied", "another value"))
        }
        None => Ok(spec),
    }
}

/// A piece: its text, its score, its type.
fn token(bytes: &[u8]) -> Option<Token> {
    let mut token = Token { text: String::new(), score: 0.0, kind: Type::Normal };
    fields(bytes, &mut |field, value| {
        match (field, value) {
            (1, Value::Bytes(text)) => token.text = std::str::from_utf8(text).ok()?.into(),
            (2, Value::Four(score)) => token.score = f32::from_le_bytes(score).into(),
            (3, value) => token.kind = Type::of(value.int()?)?,
            _ => {}
        }
        Some(())
    })?;
    Some(token)
}

/// Gives each field of a message to `visit`: its number and its value. `None`: the message ends within a field, or `visit`
/// gives it.
fn fields<'a>(bytes: &'a [u8], visit: &mut dyn FnMut(u64, Value<'a>) -> Option<()>) -> Option<()> {
    let mut message = Wire(bytes);
    while !message.0.is_empty() {
        let (field, value) = message.field()?;
        visit(field, value)?;
    }
    Some(())
}

/// The rest of a message.
struct Wire<'a>(&'a [u8]);

/// The value of a field.
enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Four([u8; 4]),
    Eight,
}

impl Value<'_> {
    /// A number of `int32`, `bool` or an enum.
    fn int(&self) -> Option<i64> {
        match self {
            Self::Varint(bits) => Some(*bits as i64),
            _ => None,
        }
    }
}

impl<'a> Wire<'a> {
    /// The next field; `None` where the message ends within it.
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                self.take(8)?;
                Value::Eight
            }
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Four(self.take(4)?.try_into().ok()?),
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}
