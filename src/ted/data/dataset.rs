//! The published file: {caption_key: {caption, caption_type, statements: {question_type: {question,
//! correct_statement: {status, statement} | null, incorrect_statements: [{status, statement}]}}}}.
//! Unusable items are skipped by the reference evaluator's rules; malformed ones are errors.

use super::{
    json::{Item, Json, short},
    shuffle::Shuffler,
};
use crate::error::{Error, Result};
use crate::format::sha256_hex;
use crate::named::named;
use crate::ted::decode::{self, Fault, MAX_BYTES};
use serde::Serialize;
use std::collections::BTreeMap;

/// The seed with which the reference evaluator shuffles the options of every item.
const OPTION_ORDER_SEED: u64 = 42;
/// The most wrong statements of an item: options have the letters A to H, one of them for the right statement.
const MAX_INCORRECT: usize = 7;

named! {
    /// The medium that a caption describes.
    pub enum CaptionType("caption type") {
        /// A still image.
        Image = "image",
        /// A video.
        Video = "video",
    }
}

named! {
    /// The ability that an item tests. The published order is alphabetical.
    pub enum QuestionType("question type") {
        /// The action of someone or something.
        ActionRecognition = "Action Recognition",
        /// A property of a thing.
        Adjective = "Adjective",
        /// The manner of an action.
        Adverb = "Adverb",
        /// The event as a whole.
        BasicEvent = "Basic Event",
        /// The thing that a word such as "it" refers to.
        Coreference = "Coreference",
        /// Text that can be read in the picture.
        Ocr = "OCR",
        /// The number of things.
        Quantity = "Quantity",
        /// The places of things relative to each other.
        SpatialRelationship = "Spatial Relationship",
        /// The order of events; videos alone have it.
        Temporal = "Temporal",
    }
}

/// A dense description of an image or a video.
#[derive(Clone, Debug, PartialEq)]
pub struct Caption {
    /// Its key in the file.
    pub key: String,
    /// The medium that it describes.
    pub caption_type: CaptionType,
    /// The description.
    pub caption: String,
}

impl Caption {
    /// The text that is encoded for it.
    pub fn text(&self) -> String {
        format!("Caption Type: {}\nCaption: {}", self.caption_type, self.caption)
    }
}

/// One item: a caption, one right and up to seven wrong statements.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The caption's key in the file.
    pub caption_key: String,
    /// The medium that the caption describes.
    pub caption_type: CaptionType,
    /// The ability that the item tests.
    pub question_type: QuestionType,
    /// The index of its caption in [`Dataset::captions`].
    pub caption: usize,
    /// The question that the statements answer, empty where the file has none; it is not encoded.
    pub question: String,
    /// 2 to 8 statements in the reference evaluator's order; each is encoded bare.
    pub statements: Vec<String>,
    /// The index of the right statement in `statements`.
    pub correct: usize,
}

/// A data set in memory: the captions and the usable items of one file.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The file's name.
    pub file: String,
    /// SHA-256 of the file's bytes.
    pub sha256: String,
    /// Every caption, in the file's order.
    pub captions: Vec<Caption>,
    /// The usable items, in the file's order.
    pub samples: Vec<Sample>,
    /// The number of items that the rules dropped.
    pub skipped: usize,
}

/// A data set in numbers, as a page or a command line shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DatasetCard {
    /// The file's name.
    pub file: String,
    /// SHA-256 of the file's bytes.
    pub sha256: String,
    /// The number of captions in the file.
    pub captions: usize,
    /// The number of usable items.
    pub items: usize,
    /// The number of items that the rules dropped.
    pub skipped: usize,
    /// The number of usable items by caption type.
    pub caption_types: BTreeMap<String, usize>,
    /// The number of usable items by question type.
    pub question_types: BTreeMap<String, usize>,
}

impl Dataset {
    /// Reads `bytes` of the file named `file`: UTF-8, with or without a byte order mark, of at most 64 MiB.
    /// It differs from the reference evaluator in two points: a blank statement counts as none, and a repeated key or
    /// an unknown question type is an error.
    ///
    /// # Errors
    /// [`Error::NotTed`] names the first fault, [`Error::Absurd`] a size above the limit.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        // 1. bytes -> JSON
        let found = bytes.len() as u64;
        if found > MAX_BYTES {
            let (file, item) = (file.into(), "its size".into());
            return Err(Error::Absurd { file, item, found, limit: MAX_BYTES });
        }
        let json = decode(bytes).map_err(|Fault { item, expected, found }| Error::NotTed {
            file: file.into(),
            item,
            expected,
            found,
        })?;
        let captions =
            Item { file, path: String::new(), json: Some(json) }.object("an object of captions")?;

        // 2. captions, and the items of each
        let sha256 = sha256_hex(bytes);
        let mut dataset = Self { file: file.into(), sha256, captions: vec![], samples: vec![], skipped: 0 };
        let mut shuffler = Shuffler::new(OPTION_ORDER_SEED);
        for (key, entry) in captions.into_items() {
            let mut entry = entry.object("an object")?;
            let caption = entry.take("caption").text()?;
            let caption_type = caption_type(entry.take("caption_type"))?;
            dataset.captions.push(Caption { key, caption_type, caption });
            for (name, item) in entry.take("statements").object("an object of question types")?.into_items() {
                match dataset.sample(&name, item, &mut shuffler)? {
                    Some(sample) => dataset.samples.push(sample),
                    None => dataset.skipped += 1,
                }
            }
        }
        Ok(dataset)
    }

    /// The item under the question type `name` of the last caption, or `None` if a rule drops it.
    fn sample(&self, name: &str, item: Item, shuffler: &mut Shuffler) -> Result<Option<Sample>> {
        let unknown = Item { file: item.file, path: item.path.clone(), json: Some(Json::Text(name.into())) };
        let mut item = item.object("an object")?;
        let Some(correct) = statement(item.take("correct_statement"))? else { return Ok(None) };
        let mut options = vec![(correct, true)];
        let incorrect = item.take("incorrect_statements");
        if !incorrect.is_null() {
            for incorrect in incorrect.array()? {
                options.extend(statement(incorrect)?.map(|text| (text, false)));
            }
        }
        options.truncate(1 + MAX_INCORRECT);
        if options.len() < 2 {
            return Ok(None);
        }
        let question = item.take("question").optional_text()?.unwrap_or_default();
        let question_type = name.parse().map_err(|_| unknown.wrong("one of the nine question types"))?;

        // The reference shuffles the items that are dropped below too, and so moves its generator on.
        shuffler.shuffle(&mut options);
        let caption = self.captions.len() - 1;
        let Caption { key, caption_type, .. } = &self.captions[caption];
        let (caption_key, caption_type) = (key.clone(), *caption_type);
        if (caption_type, question_type) == (CaptionType::Image, QuestionType::Temporal) {
            return Ok(None);
        }
        let correct = options.iter().take_while(|(_, correct)| !correct).count();
        let statements = options.into_iter().map(|(text, _)| text).collect();
        Ok(Some(Sample { caption_key, caption_type, question_type, caption, question, statements, correct }))
    }

    /// The item of a caption and a question type.
    ///
    /// # Errors
    /// [`Error::NoItem`] where there is no such usable item.
    pub fn find(&self, caption_key: &str, question_type: QuestionType) -> Result<&Sample> {
        let is_it =
            |sample: &&Sample| sample.caption_key == caption_key && sample.question_type == question_type;
        self.samples.iter().find(is_it).ok_or_else(|| Error::NoItem {
            file: self.file.clone(),
            item: format!("{}|{question_type}", short(caption_key)),
        })
    }

    /// Counts the captions and the items.
    pub fn card(&self) -> DatasetCard {
        let mut caption_types = BTreeMap::new();
        let mut question_types = BTreeMap::new();
        for sample in &self.samples {
            *caption_types.entry(sample.caption_type.to_string()).or_default() += 1;
            *question_types.entry(sample.question_type.to_string()).or_default() += 1;
        }
        DatasetCard {
            file: self.file.clone(),
            sha256: self.sha256.clone(),
            captions: self.captions.len(),
            items: self.samples.len(),
            skipped: self.skipped,
            caption_types,
            question_types,
        }
    }
}

/// The JSON value in `bytes`. UTF-16, in which some editors save text, is a fault of its own.
fn decode(bytes: &[u8]) -> Result<Json, Fault> {
    if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{', 0, ..] | [0, b'{', ..] = bytes {
        return Err(Fault::new("the encoding", "UTF-8", "UTF-16"));
    }
    serde_json::from_str(decode::text(bytes)?).map_err(|e| Fault::json(&e))
}

fn caption_type(item: Item) -> Result<CaptionType> {
    let wrong = item.wrong("image or video");
    item.text().ok().and_then(|name| name.parse().ok()).ok_or(wrong)
}

/// The text of a statement whose status is `success`; `None` for another status, and for blank text.
fn statement(item: Item) -> Result<Option<String>> {
    if item.is_null() {
        return Ok(None);
    }
    let mut item = item.object("an object or null")?;
    let status = item.take("status").optional_text()?;
    let text = item.take("statement").optional_text()?;
    Ok(text.filter(|text| status.as_deref() == Some("success") && !text.trim().is_empty()))
}
