//! Begin and end tokens: what a tokenizer's file adds to each text, as AutoTokenizer and llama.cpp add it.

use super::keys::{Place, Reading, shown};
use crate::error::Result;
use crate::named::named;
use serde_json::Value;

named! {
    /// Whether the tokens that a tokenizer's file adds to each text are added.
    #[derive(Default)]
    pub enum SpecialTokens("special tokens") {
        /// As the file says: none for Qwen, a begin token for Llama 3.
        #[default]
        File = "file",
        /// Never.
        None = "none",
    }
}

/// A token that is added to each text.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Added {
    /// Its text.
    pub token: String,
    /// Its id.
    pub id: u32,
}

/// The tokens before and after each text.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Template {
    /// The tokens before a text, in order.
    pub begin: Vec<Added>,
    /// The tokens after it, in order.
    pub end: Vec<Added>,
}

/// The most tokens that a template adds.
const MOST: usize = 16;

impl Template {
    /// The number of tokens that are added to each text.
    pub fn len(&self) -> usize {
        self.begin.len() + self.end.len()
    }

    /// Whether nothing is added.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tokens that `value`, the `post_processor` of a tokenizer.json, adds to a text.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::error::Error::Malformed) for a processor that is not known, or a template without
    /// its text.
    pub(super) fn read(reading: &mut Reading, value: &Value) -> Result<Self> {
        let mut template = Self::default();
        if !value.is_null() {
            template.push(reading, value)?;
        }
        if template.len() > MOST {
            let expected = format!("at most {MOST} tokens around a text");
            return Err(reading.malformed("post_processor", expected, template.len().to_string()));
        }
        Ok(template)
    }

    fn push(&mut self, reading: &mut Reading, value: &Value) -> Result<()> {
        let kind = reading.kind(value, "post_processor")?;
        reading.note_keys(Place::PostProcessor, value);
        match kind {
            "ByteLevel" => Ok(()), // it trims offsets
            "Sequence" => {
                reading.list(value, "processors")?.iter().try_for_each(|step| self.push(reading, step))
            }
            "BertProcessing" | "RobertaProcessing" => {
                self.begin.insert(0, pair(reading, value, "cls")?);
                self.end.push(pair(reading, value, "sep")?);
                Ok(())
            }
            "TemplateProcessing" => self.pieces(reading, value),
            other => {
                let expected =
                    "ByteLevel, BertProcessing, RobertaProcessing, TemplateProcessing or a Sequence of them";
                Err(reading.malformed("post_processor", expected, format!("`{other}`")))
            }
        }
    }

    /// The pieces of a template around the text, which is `A`.
    fn pieces(&mut self, reading: &Reading, value: &Value) -> Result<()> {
        let (mut begin, mut end, mut texts) = (Vec::new(), Vec::new(), 0);
        for piece in reading.list(value, "single")? {
            if piece["Sequence"]["id"] == "A" {
                texts += 1;
                continue;
            }
            let Some(name) = piece["SpecialToken"]["id"].as_str() else {
                return Err(reading.malformed(
                    "post_processor",
                    "special tokens around the text `A`",
                    shown(piece),
                ));
            };
            let special = &value["special_tokens"][name];
            let (Some(ids), Some(tokens)) = (special["ids"].as_array(), special["tokens"].as_array()) else {
                let found = format!("`{name}` without ids and tokens");
                return Err(reading.malformed("post_processor", "each special token with its ids", found));
            };
            reading.at_most(ids.len())?;
            for (id, token) in ids.iter().zip(tokens) {
                let added = entry(reading, token, id)?;
                if texts == 0 { begin.push(added) } else { end.push(added) }
            }
            if ids.len() != tokens.len() {
                return Err(reading.malformed("post_processor", "an id for each token", shown(special)));
            }
        }
        if texts != 1 {
            return Err(reading.malformed("post_processor", "the text `A` once", format!("{texts} times")));
        }
        begin.append(&mut self.begin);
        self.begin = begin;
        self.end.append(&mut end);
        Ok(())
    }
}

/// `["</s>", 2]`
fn pair(reading: &Reading, value: &Value, key: &str) -> Result<Added> {
    entry(reading, &value[key][0], &value[key][1])
}

fn entry(reading: &Reading, token: &Value, id: &Value) -> Result<Added> {
    match (token.as_str(), id.as_u64().and_then(|id| u32::try_from(id).ok())) {
        (Some(token), Some(id)) => Ok(Added { token: token.into(), id }),
        _ => {
            let found = format!("{} with id {}", shown(token), shown(id));
            Err(reading.malformed("post_processor", "a token and its id", found))
        }
    }
}
