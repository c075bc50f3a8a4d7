//! The keys of GGUF that stand under wildcards in the table of `loader::KEYS`, set otherwise on a tiny model of each
//! family: `general.*`, `quantize.*`, `split.*`, and what the tokenizer reads of `tokenizer.*`. Token ids and vectors are
//! those of an independent reading, or the load is refused by the key's name.

use crate::support::files::fixture;
use crate::support::load::load;
use crate::support::model::GgufWriter;
use crate::support::models::memory;
use crate::support::network::{self, Forward, IDS, Tensors, gguf, metadata};
use crate::support::sentencepiece::SpmWriter;
use gran_ted::device::Device;
use gran_ted::encoder::Settings;
use gran_ted::error::Result;
use gran_ted::loader::Header;
use gran_ted::model::{Feature, Pooling};
use gran_ted::text::tokenizer::{KEYS, Place, Treatment};
use pollster::block_on;

const FAMILIES: [&str; 4] = ["llama", "qwen2", "qwen3", "qwen3vl"];

fn header(files: &[(&str, Vec<u8>)]) -> Result<Header> {
    block_on(Header::read(memory(files)))
}

fn one(writer: GgufWriter, family: &str, all: &Tensors) -> Result<Header> {
    header(&[("m.gguf", gguf(writer, family, all))])
}

/// Compares the vector of `ids` with that of the plain forward.
fn is_right(what: &str, all: &Tensors, header: Result<Header>) {
    let header = header.unwrap_or_else(|error| panic!("{what}: {error}"));
    let encoder = load(header, Device::cpu());
    let found = block_on(encoder.embed_ids(&[&IDS], &Settings::new(Feature::Last, Pooling::Mean))).unwrap();
    is_near(what, &found[0], &network::vector(all, &Forward::default()));
}

fn is_near(what: &str, found: &[f32], right: &[f64]) {
    let apart = found.iter().zip(right).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    assert!(apart < 2e-5, "{what}: {apart} from the plain forward");
}

fn is_refused(what: &str, header: Result<Header>, named: &str) {
    match header {
        Ok(_) => panic!("{what}: taken, expected a refusal that names {named}"),
        Err(error) => assert!(error.to_string().contains(named), "{what}: {named} is not named: {error}"),
    }
}

// --- general.*, quantize.* ---

#[test]
fn notes_of_a_file_change_no_vector() {
    type Note = fn(GgufWriter) -> GgufWriter;
    let notes: [(&str, Note); 12] = [
        ("general.type", |writer| writer.str("general.type", "model")),
        ("general.name", |writer| writer.str("general.name", "gemma3 mmproj adapter")),
        ("general.basename", |writer| writer.str("general.basename", "llama")),
        ("general.file_type", |writer| writer.u32("general.file_type", 15)),
        ("general.quantization_version", |writer| writer.u32("general.quantization_version", 1)),
        ("general.size_label", |writer| writer.f32("general.size_label", 8.0)),
        ("general.tags", |writer| writer.strings("general.tags", &["text", "\u{1b}"])),
        ("general.base_model.0.name", |writer| writer.str("general.base_model.0.name", "x")),
        ("general.sampling.temp", |writer| writer.f32("general.sampling.temp", 0.0)),
        ("general.unheard", |writer| writer.raw("general.unheard", 7, &[1])),
        ("quantize.imatrix.file", |writer| writer.str("quantize.imatrix.file", "x")),
        ("quantize.imatrix.entries_count", |writer| writer.i32("quantize.imatrix.entries_count", -1)),
    ];
    for family in FAMILIES {
        let all = network::tensors(family);
        for (key, note) in notes {
            let header = one(note(metadata(family, &[])), family, &all);
            let not_read = header.as_ref().map(|header| header.info.not_read.clone()).unwrap_or_default();
            assert!(not_read.is_empty(), "{not_read:?}");
            is_right(key, &all, header);
        }
    }
}

#[test]
fn what_decides_of_general_is_heard() {
    for family in FAMILIES {
        let all = network::tensors(family);
        for (kind, named) in [("adapter", "LoRA"), ("mmproj", "mmproj"), ("imatrix", "importance matrix")] {
            let writer = metadata(family, &[]).str("general.type", kind);
            is_refused(kind, one(writer, family, &all), named);
        }
        for (other, named) in [("gemma", "`gemma`"), ("clip", "mmproj"), ("flux", "a diffusion model")] {
            is_refused(other, one(metadata(other, &[]), family, &all), named);
        }
        for alignment in [8, 64, 4096] {
            let writer = metadata(family, &[]).alignment(alignment);
            is_right(&format!("aligned to {alignment}"), &all, one(writer, family, &all));
        }
        for (alignment, named) in [(0, "general.alignment"), (24, "general.alignment"), (4096, "tensor `")] {
            let writer = metadata(family, &[]).u32("general.alignment", alignment);
            is_refused(&format!("alignment {alignment}"), one(writer, family, &all), named);
        }
    }
}

// --- split.* ---

/// What a part says of itself; `None` leaves the key out.
#[derive(Clone, Copy)]
struct Said {
    no: Option<u16>,
    count: Option<u16>,
    tensors: Option<i32>,
}

/// Two parts of a model under `names`, which say what they should but for `change`.
fn parts(family: &str, all: &Tensors, names: [&str; 2], change: impl Fn(usize, &mut Said)) -> Result<Header> {
    let write = |part: usize| {
        let mut said = Said { no: Some(part as u16), count: Some(2), tensors: Some(all.len() as i32) };
        change(part, &mut said);
        let mut writer = if part == 0 { metadata(family, &[]) } else { GgufWriter::default() };
        for (key, value) in [("split.no", said.no), ("split.count", said.count)] {
            if let Some(value) = value {
                writer = writer.u16(key, value);
            }
        }
        if let Some(tensors) = said.tensors {
            writer = writer.i32("split.tensors.count", tensors);
        }
        let half = all.iter().enumerate().filter(|(at, _)| usize::from(*at >= all.len() / 2) == part);
        gguf(writer, family, &half.map(|(_, (name, tensor))| (name.clone(), tensor.clone())).collect())
    };
    header(&[(names[0], write(0)), (names[1], write(1))])
}

#[test]
fn the_numbers_of_parts_are_checked() {
    const NAMED: [&str; 2] = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
    const PLAIN: [&str; 2] = ["a.gguf", "b.gguf"];
    for family in FAMILIES {
        let all = network::tensors(family);
        for names in [NAMED, PLAIN] {
            let of = |change: &dyn Fn(usize, &mut Said)| parts(family, &all, names, change);
            let is_named = names == NAMED;
            let either = |named, plain| if is_named { named } else { plain };
            is_right("as it is", &all, of(&|_, _| {}));
            is_right("without tensors.count", &all, of(&|_, said| said.tensors = None));
            is_refused("no above count", of(&|_, said| said.no = Some(2)), "`split.no`");
            is_refused("no twice", of(&|_, said| said.no = Some(0)), either("`split.no`", "part 1 twice"));
            is_refused(
                "no exchanged",
                of(&|part, said| said.no = Some(1 - part as u16)),
                either("`split.no`", "general.architecture"),
            );
            is_refused("count 3", of(&|_, said| said.count = Some(3)), either("`split.count`", "part 3"));
            is_refused(
                "count 1",
                of(&|_, said| said.count = Some(1)),
                either("`split.count`", "a whole model"),
            );
            is_refused(
                "counts differ",
                of(&|part, said| said.count = Some(2 + part as u16)),
                either("`split.count`", "part of 3"),
            );
            is_refused("tensors", of(&|_, said| said.tensors = Some(3)), "`split.tensors.count`");
            is_refused(
                "tensors of one",
                of(&|part, said| said.tensors = Some(40 + part as i32)),
                "`split.tensors.count`",
            );
            // Names tell what the header leaves out.
            let bare = of(&|_, said| *said = Said { no: None, count: None, tensors: None });
            if is_named {
                is_right("by name", &all, bare);
                is_right("no by name", &all, of(&|_, said| said.no = None));
            } else {
                is_refused("no name", bare, "one .gguf file");
                is_refused("no number", of(&|_, said| said.no = None), "`split.no`");
            }
        }
        for key in ["split.no", "split.count", "split.tensors.count"] {
            let writer = metadata(family, &[]).u16("split.count", 2);
            let writer = if key == "split.count" { metadata(family, &[]) } else { writer };
            let writer = if key == "split.tensors.count" { writer.u16("split.no", 0) } else { writer };
            is_refused(key, one(writer.str(key, "1"), family, &all), &format!("`{key}`"));
        }
        // A merged file says 0 or 1 and is whole.
        for count in [0, 1] {
            let writer = metadata(family, &[]).u16("split.count", count).u16("split.no", 0);
            is_right("merged", &all, one(writer.i32("split.tensors.count", all.len() as i32), family, &all));
        }
    }
}

// --- tokenizer.* ---

/// A vocabulary whose pieces no split cuts: the independent reading merges a text as it is.
#[derive(Clone)]
struct Vocabulary {
    tokens: Vec<String>,
    types: Vec<i32>,
    merges: Vec<(String, String)>,
    begin: Vec<u32>,
    end: Vec<u32>,
}

const TEXT: &str = "re red<|im_end|>cue re";
/// Ids of tokens behind the 256 bytes.
const RE: u32 = 256;
const END: u32 = 260;
const PAD: u32 = 261;

fn vocabulary() -> Vocabulary {
    let merges = [("r", "e"), ("Ġ", "re"), ("re", "d"), ("c", "u")];
    let mut tokens: Vec<String> =
        (0..=255).map(|byte| crate::support::model::byte_char(byte).to_string()).collect();
    tokens.extend(merges.iter().map(|(left, right)| format!("{left}{right}")));
    tokens.extend(["<|im_end|>", "cue"].map(String::from));
    let types = tokens.iter().map(|token| if token == "<|im_end|>" { 3 } else { 1 }).collect();
    let merges = merges.map(|(left, right)| (left.into(), right.into())).into();
    Vocabulary { tokens, types, merges, begin: vec![], end: vec![] }
}

impl Vocabulary {
    /// The ids of [`TEXT`]: control and user-defined tokens first, then merges in their order, left to right.
    fn ids(&self) -> Vec<u32> {
        let added =
            |(id, kind): (usize, &i32)| [3, 4].contains(kind).then(|| (self.tokens[id].as_str(), id as u32));
        let added: Vec<_> = self.types.iter().enumerate().filter_map(added).collect();
        let mut ids = self.begin.clone();
        let (mut rest, mut plain) = (TEXT, String::new());
        while !rest.is_empty() {
            match added.iter().find(|(token, _)| rest.starts_with(token)) {
                Some((token, id)) => {
                    self.merge(&std::mem::take(&mut plain), &mut ids);
                    ids.push(*id);
                    rest = &rest[token.len()..];
                }
                None => {
                    plain.push_str(&rest[..1]);
                    rest = &rest[1..];
                }
            }
        }
        self.merge(&plain, &mut ids);
        ids.extend(&self.end);
        ids
    }

    fn merge(&self, text: &str, ids: &mut Vec<u32>) {
        let mut parts: Vec<String> = text.replace(' ', "Ġ").chars().map(String::from).collect();
        for (left, right) in &self.merges {
            let mut at = 0;
            while at + 1 < parts.len() {
                if parts[at] == *left && parts[at + 1] == *right {
                    let merged = format!("{left}{right}");
                    parts.splice(at..at + 2, [merged]);
                }
                at += 1;
            }
        }
        let id = |part: &String| self.tokens.iter().position(|token| token == part).unwrap() as u32;
        ids.extend(parts.iter().map(id));
    }

    fn write(&self, family: &str, but: &str) -> GgufWriter {
        let mut writer = network::sizes(family, &[]);
        if but != "model" {
            writer = writer.str("tokenizer.ggml.model", "gpt2");
        }
        if but != "pre" {
            writer = writer.str("tokenizer.ggml.pre", "qwen2");
        }
        if but != "tokens" {
            writer = writer.strings("tokenizer.ggml.tokens", &self.tokens);
        }
        if but != "token_type" {
            writer = writer.i32s("tokenizer.ggml.token_type", &self.types);
        }
        if but != "merges" {
            let merges: Vec<_> = self.merges.iter().map(|(left, right)| format!("{left} {right}")).collect();
            writer = writer.strings("tokenizer.ggml.merges", &merges);
        }
        writer
    }
}

/// Checks ids and vector of [`TEXT`].
fn reads(what: &str, family: &str, all: &Tensors, writer: GgufWriter, expected: &[u32]) {
    reads_text(what, family, all, writer, (TEXT, expected));
}

/// Checks ids and vector of a text.
fn reads_text(what: &str, family: &str, all: &Tensors, writer: GgufWriter, (text, expected): (&str, &[u32])) {
    let header = one(writer, family, all).unwrap_or_else(|error| panic!("{what}: {error}"));
    let encoder = load(header, Device::cpu());
    let encoded = encoder.tokenize(&[text]).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(encoded[0].ids, expected, "{what}");
    let embedded = block_on(encoder.embed(&[text], &Settings::new(Feature::Last, Pooling::Mean))).unwrap();
    is_near(what, &embedded.vectors[0], &network::vector_of(expected, all, &Forward::default()));
}

#[test]
fn every_key_of_a_gguf_tokenizer_makes_the_ids_or_is_refused() {
    for family in FAMILIES {
        let all = network::tensors(family);
        let plain = vocabulary();
        let ids = plain.ids();
        assert_eq!(&ids[..4], [RE, RE + 1, u32::from(b'd'), END]);
        reads("as it is", family, &all, plain.write(family, ""), &ids);
        for (_, treatment, keys) in KEYS.iter().filter(|(place, ..)| *place == Place::Gguf) {
            for key in *keys {
                let full = format!("tokenizer.ggml.{key}");
                let what = format!("{family}: {full}");
                let flag = |on: bool| plain.write(family, "").raw(&full, 7, &[u8::from(on)]);
                match treatment {
                    Treatment::Neutral => {
                        is_refused(&what, one(flag(true), family, &all), &full);
                        is_refused(&what, one(plain.write(family, "").u32(&full, 1), family, &all), &full);
                        reads(&what, family, &all, flag(false), &ids);
                    }
                    Treatment::NoId => {
                        reads(&what, family, &all, plain.write(family, "").u32(&full, RE), &ids);
                        reads(&what, family, &all, plain.write(family, "").raw(&full, 7, &[1]), &ids);
                        reads(&what, family, &all, plain.write(family, "").str(&full, "re"), &ids);
                    }
                    Treatment::Applied => applied(&what, key, family, &all),
                }
            }
        }
        // Beside tokenizer.ggml nothing is read, be it a whole tokenizer.
        for key in ["tokenizer.huggingface.json", "tokenizer.chat_template", "tokenizer.rwkv.world"] {
            reads(
                key,
                family,
                &all,
                plain.write(family, "").str(key, "{\"model\": {\"type\": \"BPE\"}}"),
                &ids,
            );
        }
        let unknown = plain.write(family, "").u32("tokenizer.ggml.unheard", 1);
        assert_eq!(
            one(unknown, family, &all).unwrap().tokenizer().unwrap().not_read(),
            ["tokenizer.ggml.unheard"]
        );
    }
}

/// Sets a key that is applied otherwise.
fn applied(what: &str, key: &str, family: &str, all: &Tensors) {
    let full = format!("tokenizer.ggml.{key}");
    let plain = vocabulary();
    let other = |change: &dyn Fn(&mut Vocabulary)| {
        let mut other = plain.clone();
        change(&mut other);
        assert_ne!(other.ids(), plain.ids(), "{what}");
        other
    };
    let reads = |writer: GgufWriter, expected: &[u32]| reads(what, family, all, writer, expected);
    let refused = |writer: GgufWriter, named: &str| is_refused(what, one(writer, family, all), named);
    let text = |value: &str| plain.write(family, key).str(&full, value);
    let with = |keys: &[(&str, u32)], flags: &[&str]| {
        let ids = keys.iter().fold(plain.write(family, ""), |writer, (key, id)| {
            writer.u32(&format!("tokenizer.ggml.{key}_token_id"), *id)
        });
        flags.iter().fold(ids, |writer, key| writer.raw(&format!("tokenizer.ggml.add_{key}_token"), 7, &[1]))
    };
    match key {
        "model" => {
            ["bert", "rwkv", "none"].iter().for_each(|kind| refused(text(kind), kind));
            ["llama", "t5"].iter().for_each(|kind| refused(text(kind), "tokenizer.ggml.scores"));
            refused(plain.write(family, key).u32(&full, 1), &full);
            // Without a model there is no tokenizer, and a text is refused.
            let bare = one(plain.write(family, key), family, all).err().map(|error| error.to_string());
            assert!(bare.unwrap().contains("without a tokenizer"));
        }
        "pre" => {
            ["unheard", "default", ""].iter().for_each(|pre| refused(text(pre), pre));
            refused(plain.write(family, key), "tokenizer.ggml.pre");
            reads(text("deepseek-r1-qwen"), &plain.ids());
            // Llama 3's follows no merge where the piece is a token, and begins with a token that the file has to name.
            refused(text("llama-bpe"), "bos_token_id");
            let llama = text("llama-bpe").u32("tokenizer.ggml.bos_token_id", END);
            let mut ids = plain.ids();
            let cue = ids.windows(2).position(|pair| pair == [RE + 3, u32::from(b'e')]).unwrap();
            ids.splice(cue..cue + 2, [PAD]);
            ids.insert(0, END);
            reads(llama, &ids);
        }
        "tokens" => {
            let exchanged = other(&|other| other.tokens.swap(RE as usize, RE as usize + 3));
            reads(exchanged.write(family, ""), &exchanged.ids());
            refused(plain.write(family, key), &full);
            refused(plain.write(family, key).i32s(&full, &[1]), &full);
        }
        "token_type" => {
            for kind in [3, 4] {
                let user = other(&|other| other.types[PAD as usize] = kind);
                reads(user.write(family, ""), &user.ids());
            }
            // llama.cpp takes an end for a control token whatever its type says; of other types a token is plain text.
            let mut normal = plain.clone();
            normal.types[END as usize] = 1;
            reads(normal.write(family, ""), &plain.ids());
            reads(plain.write(family, key), &plain.ids());
            let unused = other(&|other| other.types[END as usize] = 5);
            reads(unused.write(family, ""), &unused.ids());
            refused(plain.write(family, key).i32s(&full, &[1, 1]), &full);
            refused(plain.write(family, key).strings(&full, &["1"]), &full);
        }
        "merges" => {
            let fewer = other(&|other| drop(other.merges.remove(1)));
            reads(fewer.write(family, ""), &fewer.ids());
            let turned = other(&|other| {
                other.merges.swap(1, 2);
            });
            reads(turned.write(family, ""), &turned.ids());
            refused(plain.write(family, key), &full);
            refused(plain.write(family, key).strings(&full, &["re"]), &full);
            refused(plain.write(family, key).strings(&full, &["r x"]), &full);
        }
        "add_bos_token" | "bos_token_id" => {
            for id in [END, RE] {
                let begun = other(&|other| other.begin = vec![id]);
                reads(with(&[("bos", id)], &["bos"]), &begun.ids());
            }
            reads(with(&[("bos", RE)], &[]), &plain.ids());
            refused(with(&[], &["bos"]), "bos_token_id");
            refused(with(&[("bos", 9999)], &["bos"]), "bos_token_id");
            refused(with(&[], &["bos"]).str("tokenizer.ggml.bos_token_id", "1"), "bos_token_id");
            refused(with(&[], &[]).str("tokenizer.ggml.add_bos_token", "1"), "add_bos_token");
        }
        "add_eos_token" | "eos_token_id" => {
            for id in [END, RE] {
                let ended = other(&|other| other.end = vec![id]);
                reads(with(&[("eos", id)], &["eos"]), &ended.ids());
            }
            reads(with(&[("eos", RE)], &[]), &plain.ids());
            refused(with(&[], &["eos"]), "eos_token_id");
            refused(with(&[("eos", 9999)], &["eos"]), "eos_token_id");
            refused(with(&[], &["eos"]).str("tokenizer.ggml.eos_token_id", "1"), "eos_token_id");
            refused(with(&[], &[]).str("tokenizer.ggml.add_eos_token", "1"), "add_eos_token");
        }
        // Byte-level tokens have none of these; pieces have.
        "scores"
        | "add_space_prefix"
        | "remove_extra_whitespaces"
        | "precompiled_charsmap"
        | "unknown_token_id" => {
            reads(plain.write(family, "").raw(&full, 7, &[1]), &plain.ids());
            reads(plain.write(family, "").u32(&full, RE), &plain.ids());
            of_pieces(what, key, family, all);
        }
        other => panic!("tokenizer.ggml.{other} is applied, and no test sets it otherwise"),
    }
}

/// Sets a key of a unigram model otherwise. Its pieces let one cut of each text be the best by far.
fn of_pieces(what: &str, key: &str, family: &str, all: &Tensors) {
    let full = format!("tokenizer.ggml.{key}");
    let own = ["▁", "▁re", "▁red", "re", "d", "cue"].into_iter().zip([-5.0, -1.0, -1.0, -1.0, -5.0, -1.0]);
    let special = [("<pad>", 3), ("</s>", 3), ("<unk>", 2), ("<|im_end|>", 3)];
    let plain = SpmWriter {
        pieces: special
            .map(|(text, kind)| (text.to_string(), 0.0, kind))
            .into_iter()
            .chain(own.map(|(text, score)| (text.to_string(), score, 1)))
            .collect(),
        ids: [2, -1, 1, 0],
        ..SpmWriter::default()
    };
    let [end, unknown, im_end, blank, re, red, bare_re, d, cue] = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    let write = |change: &dyn Fn(&mut SpmWriter)| {
        let mut model = plain.clone();
        change(&mut model);
        model.gguf(network::sizes(family, &[]))
    };
    let reads = |change: &dyn Fn(&mut SpmWriter), text: &str, ids: &[u32]| {
        reads_text(what, family, all, write(change), (text, ids));
    };
    let first: &[u32] = &[re, red, im_end, cue, re, end];
    reads(&|_| {}, TEXT, first);
    match key {
        "scores" => {
            reads(&|model| model.pieces[red as usize].1 = -9.0, TEXT, &[re, re, d, im_end, cue, re, end]);
        }
        "add_space_prefix" => {
            reads(&|model| model.space_prefix = false, TEXT, &[bare_re, red, im_end, cue, re, end]);
        }
        "remove_extra_whitespaces" => {
            reads(&|_| {}, "re  red ", &[re, red, end]);
            let kept = [re, blank, red, blank, end];
            reads(&|model| model.remove_extra_whitespaces = false, "re  red ", &kept);
        }
        "precompiled_charsmap" => {
            reads(&|_| {}, "ｒｅ", &[blank, unknown, end]);
            let table = fixture("tokenizers/t5.charsmap");
            reads(&|model| model.charsmap = table.clone(), "ｒｅ", &[re, end]);
            let short = write(&|model| model.charsmap = vec![0; 3]);
            is_refused(what, one(short, family, all), "charsmap");
        }
        _ => {
            reads(&|_| {}, "re?", &[re, unknown, end]);
            reads(&|model| model.ids[0] = i64::from(d), "re?", &[re, d, end]);
            let text = write(&|model| model.ids[0] = -1).str(&full, "2");
            is_refused(what, one(text, family, all), &full);
        }
    }
}
