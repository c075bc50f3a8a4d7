//! Headers read right, and every fault of a file by its message.

use crate::support::allocations::LARGEST;
use crate::support::files::{default_model, fixture};
use crate::support::model::{GgufWriter, Random, Tiny};
use gran_ted::{
    error::{Error, Result},
    format::{
        DiskFile, Memory, Read, Source, TensorInfo, TensorType,
        gguf::{Gguf, Value},
        safetensors::Safetensors,
    },
};
use std::{cell::RefCell, ops::Range};

fn gguf(bytes: Vec<u8>) -> Result<Gguf> {
    pollster::block_on(Gguf::read(&Memory::new("m.gguf", bytes)))
}

fn message(bytes: Vec<u8>) -> String {
    gguf(bytes).unwrap_err().to_string()
}

/// A safetensors file with `header` and `data_len` bytes of data.
fn safetensors_bytes(header: &str, data_len: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data_len]].concat()
}

fn safetensors(bytes: Vec<u8>) -> Result<Safetensors> {
    pollster::block_on(Safetensors::read(&Memory::new("m.safetensors", bytes)))
}

/// A file with a value of every type, and three tensors, the last of which ends the file.
fn sample() -> GgufWriter {
    GgufWriter::default()
        .raw("u8", 0, &[255])
        .raw("i8", 1, &[255])
        .raw("u16", 2, &[1, 2])
        .raw("i16", 3, &[254, 255])
        .u32("u32", 7)
        .raw("i32", 5, &(-7i32).to_le_bytes())
        .f32("f32", 1e-5)
        .raw("bool", 7, &[1])
        .str("string", "größer")
        .raw("u64", 10, &u64::MAX.to_le_bytes())
        .raw("i64", 11, &i64::MIN.to_le_bytes())
        .raw("f64", 12, &0.1f64.to_le_bytes())
        .array("u8s", 0, 3, &[1, 2, 3])
        .i32s("i32s", &[-1, 1])
        .array("f32s", 6, 1, &0.5f32.to_le_bytes())
        .array("bools", 7, 2, &[0, 1])
        .strings("strings", &["a", "", "bc"])
        .strings::<&str>("no strings", &[])
        .tensor("a", TensorType::F32, &[3], vec![0; 12])
        .tensor("b", TensorType::Q4_0, &[2, 64], vec![0; 72])
        .tensor("c", TensorType::F16, &[2, 3, 4, 4], vec![0; 192])
}

#[test]
fn every_value_type_and_tensor_is_read() {
    for version in [2, 3] {
        let bytes = sample().version(version).write();
        let len = bytes.len() as u64;
        let gguf = gguf(bytes).unwrap();
        assert_eq!((gguf.file.as_str(), gguf.version), ("m.gguf", version));
        let expected = [
            ("u8", Value::Unsigned(255)),
            ("i8", Value::Signed(-1)),
            ("u16", Value::Unsigned(513)),
            ("i16", Value::Signed(-2)),
            ("u32", Value::Unsigned(7)),
            ("i32", Value::Signed(-7)),
            ("f32", Value::Float(1e-5f32.into())),
            ("bool", Value::Bool(true)),
            ("string", Value::String("größer".into())),
            ("u64", Value::Unsigned(u64::MAX)),
            ("i64", Value::Signed(i64::MIN)),
            ("f64", Value::Float(0.1)),
            ("u8s", Value::Unsigneds(vec![1, 2, 3])),
            ("i32s", Value::Signeds(vec![-1, 1])),
            ("f32s", Value::Floats(vec![0.5])),
            ("bools", Value::Bools(vec![false, true])),
            ("strings", Value::Strings(vec!["a".into(), "".into(), "bc".into()])),
            ("no strings", Value::Strings(vec![])),
        ];
        assert_eq!(gguf.metadata.len(), expected.len());
        for (key, value) in expected {
            assert_eq!(gguf.metadata[key], value, "{key}");
        }
        let start = len - 192 - 96 - 32;
        let tensor = |name: &str, dtype, shape: &[usize], start, bytes| TensorInfo {
            name: name.into(),
            dtype,
            shape: shape.into(),
            range: start..start + bytes,
        };
        let expected = [
            tensor("a", TensorType::F32, &[3], start, 12),
            tensor("b", TensorType::Q4_0, &[2, 64], start + 32, 72),
            tensor("c", TensorType::F16, &[2, 3, 4, 4], start + 128, 192),
        ];
        assert_eq!(gguf.tensors, expected);
    }
}

#[test]
fn tensors_are_aligned_as_the_file_says() {
    let tensor = |writer: GgufWriter, name| writer.tensor(name, TensorType::F32, &[1], vec![0; 4]);
    let file = tensor(tensor(GgufWriter::default().alignment(256), "a"), "b").write();
    let starts = gguf(file).unwrap().tensors.into_iter().map(|t| t.range.start).collect::<Vec<_>>();
    assert_eq!(starts, [256, 512]);
}

#[test]
fn accessors_refuse_another_type() {
    let gguf = gguf(sample().write()).unwrap();
    assert_eq!(gguf.u64("u32").unwrap(), Some(7));
    assert_eq!(gguf.f64("f64").unwrap(), Some(0.1));
    assert_eq!(gguf.str("string").unwrap(), Some("größer"));
    assert_eq!(gguf.strings("strings").unwrap().unwrap(), ["a", "", "bc"]);
    assert_eq!(gguf.signeds("i32s").unwrap().unwrap()[..], [-1, 1]);
    assert_eq!(gguf.u64("absent").unwrap(), None);
    let refused = |key: &str, expected: &str, found: &str| {
        format!("`m.gguf`: metadata `{key}` is malformed: expected {expected}, found {found}")
    };
    assert_eq!(gguf.u64("f32").unwrap_err().to_string(), refused("f32", "an unsigned integer", "a float"));
    assert_eq!(
        gguf.u64("i32").unwrap_err().to_string(),
        refused("i32", "an unsigned integer", "a signed integer")
    );
    assert_eq!(gguf.f64("u32").unwrap_err().to_string(), refused("u32", "a float", "an unsigned integer"));
    assert_eq!(gguf.str("bool").unwrap_err().to_string(), refused("bool", "a string", "a boolean"));
    assert_eq!(
        gguf.strings("bools").unwrap_err().to_string(),
        refused("bools", "an array of strings", "an array of booleans")
    );
    assert_eq!(
        gguf.signeds("f32s").unwrap_err().to_string(),
        refused("f32s", "an array of integers", "an array of floats")
    );
}

#[test]
fn texts_that_are_not_utf_8_fail_for_who_reads_them_alone() {
    let text = |byte: u8| [1, 0, 0, 0, 0, 0, 0, 0, byte];
    let writer = GgufWriter::default().raw("k", 8, &text(0xff));
    let writer = writer.array("list", 8, 2, &[text(0xff), text(b'a')].concat()).array("u8s", 0, 2, &[3, 200]);
    let gguf = gguf(writer.write()).unwrap();
    let found = |key: &str, found: &str| format!("metadata `{key}` is malformed: expected a{found}");
    let line = gguf.str("k").unwrap_err().to_string();
    assert!(line.ends_with(&found("k", " string, found text that is not UTF-8")), "{line}");
    let line = gguf.strings("list").unwrap_err().to_string();
    let some = "n array of strings, found an array of strings of which some are not UTF-8";
    assert!(line.ends_with(&found("list", some)), "{line}");
    assert_eq!(gguf.texts("list").unwrap().unwrap(), [None, Some("a")]);
    assert_eq!(gguf.signeds("u8s").unwrap().unwrap()[..], [3, 200]);
}

#[test]
fn the_default_model_is_read() {
    let file = DiskFile::open(&default_model()).unwrap();
    let gguf = pollster::block_on(Gguf::read(&file)).unwrap();
    assert_eq!(gguf.str("general.architecture").unwrap(), Some("llama"));
    assert_eq!(gguf.u64("llama.block_count").unwrap(), Some(30));
    assert_eq!(gguf.f64("llama.rope.freq_base").unwrap(), Some(100000.0));
    assert_eq!(gguf.tensors.len(), 272);
    let data_start = 1785664u64.next_multiple_of(32);
    assert_eq!(
        gguf.tensors[0],
        TensorInfo {
            name: "token_embd.weight".into(),
            dtype: TensorType::Q8_0,
            shape: vec![49152, 576],
            range: data_start..data_start + 30081024,
        }
    );
    assert_eq!(gguf.tensors[2].name, "blk.0.ffn_down.weight");
    assert_eq!((gguf.tensors[2].dtype, &gguf.tensors[2].shape[..]), (TensorType::Q4_1, &[576, 1536][..]));
    assert_eq!(gguf.tensors[271].range.end, file.size());
}

#[test]
fn tiny_models_of_every_type_and_family_are_read() {
    use TensorType::*;
    let dense = [F32, F16, BF16];
    let by_32 = [Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, IQ4_NL, MXFP4, NVFP4];
    let by_256 = [Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_XS, IQ3_S, IQ3_XXS, IQ2_S, IQ2_XS, IQ2_XXS, IQ1_M, IQ1_S];
    let types =
        dense.into_iter().chain(by_32).chain(by_256).chain([TQ1_0, TQ2_0]).map(|t| ("qwen3vl", t, 24));
    let families = [("llama", Q4_1, 20), ("qwen2", Q5_0, 26), ("qwen3", Q4_0, 24)];
    for (family, dtype, tensors) in types.chain(families) {
        let tiny = Tiny::new(family, dtype);
        let gguf = gguf(tiny.write()).unwrap();
        assert_eq!(gguf.tensors.len(), tensors);
        let down = gguf.tensors.iter().find(|t| t.name == "blk.1.ffn_down.weight").unwrap();
        assert_eq!((down.dtype, &down.shape[..]), (dtype, &[tiny.hidden_size, tiny.intermediate_size][..]));
    }
}

/// A source that remembers which ranges were asked of it.
struct Recorded {
    memory: Memory,
    ranges: RefCell<Vec<Range<u64>>>,
}

impl Source for Recorded {
    fn name(&self) -> &str {
        self.memory.name()
    }

    fn size(&self) -> u64 {
        self.memory.size()
    }

    fn read(&self, range: Range<u64>) -> Read<'_> {
        self.ranges.borrow_mut().push(range.clone());
        self.memory.read(range)
    }
}

#[test]
fn the_header_is_read_in_growing_ranges() {
    let tokens = vec!["0123456789"; 10000];
    let file = GgufWriter::default()
        .strings("tokens", &tokens)
        .tensor("w", TensorType::F32, &[1 << 20], vec![0; 4 << 20])
        .write();
    let source = Recorded { memory: Memory::new("m.gguf", file), ranges: RefCell::default() };
    let gguf = pollster::block_on(Gguf::read(&source)).unwrap();
    assert_eq!(gguf.strings("tokens").unwrap().unwrap(), tokens);
    assert_eq!(source.ranges.into_inner(), [0..64 << 10, 64 << 10..128 << 10, 128 << 10..256 << 10]);
}

#[test]
fn a_file_that_is_no_gguf_is_named_for_what_it_seems() {
    let seems = |bytes: &[u8], found: &str| {
        let start = format!("`m.gguf` is not a model: expected a GGUF file, found {found}");
        assert!(message(bytes.to_vec()).starts_with(&start), "{}", message(bytes.to_vec()));
    };
    seems(b"", "an empty file: download it again");
    seems(b"GGU", "the bytes [47, 47, 55]");
    seems(b"PK\x03\x04\x14\0\0\0\x08\0", "a zip archive");
    seems(b"\x1f\x8b\x08\0", "a gzip archive: unpack it first");
    seems(b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "a file of notes that macOS has left");
    seems(b"<!DOCTYPE html><html>", "an HTML or XML page");
    seems(b"\n  <HTML>", "an HTML or XML page");
    seems(b"{\"architectures\": []}", "a JSON file");
    seems(b"\xef\xbb\xbf{\"architectures\": []}", "a JSON file");
    seems(
        b"version https://git-lfs.github.com/spec/v1",
        "a Git LFS pointer instead of the file it stands for",
    );
    seems(&safetensors_bytes("{}", 0), "a safetensors file");
    seems(&[7; 99], "the bytes [07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07, 07]");
    assert_eq!(
        safetensors(sample().write()).unwrap_err().to_string(),
        "`m.safetensors` is not a model: expected a safetensors file, found a GGUF file"
    );
}

#[test]
fn other_versions_are_refused() {
    let version = |version| message(sample().version(version).write());
    assert_eq!(version(1), "`m.gguf`: GGUF version 1 is not supported, expected 2 or 3");
    assert_eq!(version(3 << 24), "`m.gguf`: GGUF version 50331648 is not supported, expected 2 or 3");
}

/// Writes a u64 over `bytes` at `at`.
fn patched(mut bytes: Vec<u8>, at: usize, value: u64) -> Vec<u8> {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    bytes
}

#[test]
fn absurd_counts_are_refused() {
    assert_eq!(
        message(patched(sample().write(), 8, u64::MAX)),
        "`m.gguf`: the number of tensors is 18446744073709551615, expected at most 1048576"
    );
    assert_eq!(
        message(patched(sample().write(), 16, 1 << 40)),
        "`m.gguf`: the number of metadata entries is 1099511627776, expected at most 2581110"
    );
    assert_eq!(
        message(patched(sample().write(), 24, 1 << 62)),
        "`m.gguf`: the length of the key of metadata entry 0 is 4611686018427387904, expected at most 33554432"
    );
    assert_eq!(
        message(GgufWriter::default().raw("k", 8, &u64::MAX.to_le_bytes()).write()),
        "`m.gguf`: the length of metadata `k` is 18446744073709551615, expected at most 33554432"
    );
    assert_eq!(
        message(GgufWriter::default().array("k", 8, 1 << 32, &[]).write()),
        "`m.gguf`: the length of metadata `k` is 4294967296, expected at most 4194304"
    );
    assert_eq!(
        message(GgufWriter::default().array("k", 12, usize::MAX, &[]).write()),
        "`m.gguf`: the length of metadata `k` is 18446744073709551615, expected at most 4194304"
    );
    // A count that a longer file could hold says that this one is truncated.
    assert_eq!(
        message(GgufWriter::default().array("k", 8, 1000, &[0; 16]).write()),
        "`m.gguf` is truncated: metadata `k` ends at byte 8049, but the file has 96 bytes"
    );
}

#[test]
fn malformed_metadata_is_refused() {
    let refused = |writer: GgufWriter, item: &str, expected: &str, found: &str| {
        let expected = format!("`m.gguf`: {item} is malformed: expected {expected}, found {found}");
        assert_eq!(message(writer.write()), expected);
    };
    let new = GgufWriter::default;
    refused(new().raw("k", 13, &[]), "metadata `k`", "a value type from 0 to 12", "13");
    refused(new().array("k", 99, 0, &[]), "metadata `k`", "a value type from 0 to 12", "99");
    refused(new().array("k", 9, 1, &[]), "metadata `k`", "an array of plain values", "an array of arrays");
    refused(new().raw("k", 7, &[2]), "metadata `k`", "a boolean of 0 or 1", "2");
    refused(new().u32("k", 1).u32("k", 1), "metadata `k`", "one entry of this name", "a second one");
    for alignment in [0, 48, 1 << 17] {
        refused(
            new().u32("general.alignment", alignment),
            "metadata `general.alignment`",
            "a power of two up to 65536",
            &alignment.to_string(),
        );
    }
    refused(
        new().f32("general.alignment", 32.0),
        "metadata `general.alignment`",
        "an unsigned integer",
        "a float",
    );
}

#[test]
fn malformed_tensors_are_refused() {
    let refused = |writer: GgufWriter, expected: &str, found: &str| {
        let expected = format!("`m.gguf`: tensor `w` is malformed: expected {expected}, found {found}");
        assert_eq!(message(writer.write()), expected);
    };
    let tensor = |dims: &[u64], number, offset| {
        GgufWriter::default().raw_tensor("w", dims, number, offset, vec![0; 64])
    };
    refused(tensor(&[], 0, None), "1 to 4 dimensions", "0");
    refused(tensor(&[1; 5], 0, None), "1 to 4 dimensions", "5");
    refused(tensor(&[16, 2], 2, None), "rows of a multiple of 32 values, as Q4_0 has", "16");
    refused(tensor(&[128, 2], 12, None), "rows of a multiple of 256 values, as Q4_K has", "128");
    refused(tensor(&[4], 0, Some(8)), "an offset that is a multiple of 32", "8");
    refused(tensor(&[4, 0], 0, None), "a size above 0 that fits the memory", "[0, 4]");
    refused(
        tensor(&[1 << 32, 1 << 32], 0, None),
        "a size above 0 that fits the memory",
        "[4294967296, 4294967296]",
    );
    refused(tensor(&[1 << 62], 0, None), "a size above 0 that fits the memory", "[4611686018427387904]");
    refused(
        tensor(&[4], 0, None).tensor("w", TensorType::F32, &[1], vec![]),
        "one tensor of this name",
        "a second one",
    );
    refused(
        tensor(&[12], 0, Some(32)).raw_tensor("v", &[12], 0, Some(0), vec![0; 64]),
        "a start at byte 144 or later",
        "byte 128, inside `v`",
    );
}

/// A model may do without such tensors: see loader.rs.
#[test]
fn tensors_of_unknown_types_are_told_by_name() {
    let file = |number| {
        let writer = GgufWriter::default().raw_tensor("w", &[255], number, Some(0), vec![0; 40]);
        writer.raw_tensor("v", &[4], 0, Some(64), vec![0; 16])
    };
    for (number, name) in [(41, "Q1_0"), (24, "I8"), (77, "number 77")] {
        let mut bytes = file(number).write();
        bytes.resize(bytes.len() + 64, 0);
        let gguf = gguf(bytes).unwrap();
        assert_eq!(gguf.skipped, [("w".to_string(), name.to_string())]);
        assert_eq!(gguf.tensors.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>(), ["v"]);
    }
    let twice = GgufWriter::default().raw_tensor("w", &[32], 41, None, vec![]);
    let twice = twice.raw_tensor("w", &[32], 41, None, vec![]).write();
    assert!(message(twice).ends_with("expected one tensor of this name, found a second one"));
}

#[test]
fn a_file_cut_anywhere_is_truncated() {
    let whole = sample().write();
    for len in 0..whole.len() {
        match gguf(whole[..len].to_vec()).unwrap_err() {
            Error::NotAModel { .. } => assert!(len < 4),
            Error::Truncated { expected, found, .. } => assert!(found == len as u64 && expected > found),
            other => panic!("cut at {len}: {other}"),
        }
    }
    assert_eq!(
        message(whole[..whole.len() - 1].to_vec()),
        "`m.gguf` is truncated: tensor `c` ends at byte 960, but the file has 959 bytes"
    );
    let entry = GgufWriter::default().str("key", "value").write();
    assert_eq!(
        message(entry[..34].to_vec()),
        "`m.gguf` is truncated: the header ends at byte 37, but the file has 34 bytes"
    );
    assert_eq!(
        message(entry[..51].to_vec()),
        "`m.gguf` is truncated: metadata `key` ends at byte 52, but the file has 51 bytes"
    );
    assert_eq!(
        message(whole[..10].to_vec()),
        "`m.gguf` is truncated: the header ends at byte 16, but the file has 10 bytes"
    );
}

#[test]
fn safetensors_headers_are_read() {
    let header = r#"{"__metadata__": {"format": "pt"},
        "late": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [26, 38]},
        "ids": {"dtype": "I64", "shape": [2], "data_offsets": [10, 26]},
        "half": {"dtype": "F16", "shape": [3], "data_offsets": [4, 10]},
        "scalar": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}"#;
    let read = safetensors(safetensors_bytes(header, 38)).unwrap();
    let start = 8 + header.len() as u64;
    let tensor = |name: &str, dtype, shape: &[usize], range: Range<u64>| TensorInfo {
        name: name.into(),
        dtype,
        shape: shape.into(),
        range: start + range.start..start + range.end,
    };
    let expected = [
        tensor("scalar", TensorType::F32, &[], 0..4),
        tensor("half", TensorType::F16, &[3], 4..10),
        tensor("late", TensorType::BF16, &[2, 3], 26..38),
    ];
    assert_eq!(read.tensors, expected);
    assert_eq!(read.skipped, [("ids".to_string(), "I64".to_string())]);
    assert_eq!(read.file, "m.safetensors");
}

/// tests/fixtures/tiny-qwen3vl was saved by transformers, that is by the `safetensors` crate.
#[test]
fn safetensors_written_by_transformers_are_read() {
    let bytes = fixture("tiny-qwen3vl/model.safetensors");
    let size = bytes.len() as u64;
    let read = safetensors(bytes).unwrap();
    let table = read.tensors.iter().find(|t| t.name == "model.language_model.embed_tokens.weight").unwrap();
    assert_eq!((table.dtype, &table.shape[..]), (TensorType::F32, &[512, 64][..]));
    assert_eq!((read.tensors.len(), read.skipped.len()), (73, 0));
    assert_eq!(read.tensors.last().unwrap().range.end, size);
}

#[test]
fn bad_safetensors_are_refused() {
    let message = |bytes| safetensors(bytes).unwrap_err().to_string();
    let of = |header: &str, data_len| message(safetensors_bytes(header, data_len));
    let good = r#"{"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}"#;
    let not_one = "`m.safetensors` is not a model: expected a safetensors file, found";
    assert!(message(vec![]).starts_with(&format!("{not_one} an empty file")));
    assert!(message(b"<!DOCTYPE html>".to_vec()).starts_with(&format!("{not_one} an HTML or XML page")));
    assert_eq!(
        message(patched(safetensors_bytes(good, 8), 0, 100_000_001)),
        "`m.safetensors`: the length of the header is 100000001, expected at most 100000000"
    );
    assert_eq!(
        message(patched(safetensors_bytes(good, 8), 0, 1000)),
        "`m.safetensors` is truncated: the header ends at byte 1008, but the file has 77 bytes"
    );
    assert_eq!(
        of(good, 7),
        "`m.safetensors` is truncated: tensor `w` ends at byte 77, but the file has 76 bytes"
    );
    let malformed = |header: &str, data_len, item: &str, expected: &str, found: &str| {
        let expected = format!("`m.safetensors`: {item} is malformed: expected {expected}, found {found}");
        assert_eq!(of(header, data_len), expected);
    };
    let json = "JSON of names with dtype, shape and data_offsets";
    malformed("{nonsense}", 0, "the header", json, "key must be a string at line 1 column 2");
    malformed(
        r#"{"w": 1}"#,
        0,
        "the header",
        json,
        "invalid type: integer `1`, expected struct Entry at line 1 column 7",
    );
    let twice = format!("{},{}", &good[..good.len() - 1], &good[1..]);
    malformed(&twice, 8, "the header", json, "a second `w` at line 1 column 64");
    malformed(good, 9, "the file's end", "byte 77, after the last tensor", "byte 78");
    malformed(&good.replace("[2]", "[3]"), 8, "tensor `w`", "the bytes of F32 [3]", "8 bytes");
    malformed(
        &good.replace("[2]", "[4294967296, 4294967296]"),
        8,
        "tensor `w`",
        "the bytes of F32 [4294967296, 4294967296]",
        "8 bytes",
    );
    malformed(&good.replace("[0, 8]", "[4, 12]"), 12, "tensor `w`", "data_offsets from 0 upwards", "4 to 12");
    malformed(
        &good.replace("[0, 8]", "[0, -1]"),
        8,
        "the header",
        json,
        "invalid value: integer `-1`, expected u64 at line 1 column 59",
    );
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let open = |path: &str| DiskFile::open(path.as_ref()).err().expect("refused").to_string();
    assert_eq!(
        open("/nowhere/m.gguf"),
        "cannot read `/nowhere/m.gguf`: No such file or directory (os error 2)"
    );
    assert_eq!(open("/"), "cannot read `/`: it is a folder");
    let past_the_end = pollster::block_on(Memory::new("m.gguf", vec![0; 4]).read(2..6)).unwrap_err();
    assert_eq!(
        past_the_end.to_string(),
        "`m.gguf` is truncated: the range from byte 2 ends at byte 6, but the file has 4 bytes"
    );
}

/// Gives `good` cut short, or with some bytes changed, or with an extreme number written over it.
fn spoiled(good: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = good.to_vec();
    match random.below(4) {
        0 => bytes.truncate(random.below(good.len())),
        1 => {
            let value = [u64::MAX, 1 << 63, 1 << 32, 1 << 25, 0, random.next()][random.below(6)];
            let at = random.below(good.len() - 8);
            bytes = patched(bytes, at, value);
        }
        _ => {
            for _ in 0..=random.below(4) {
                let at = random.below(good.len());
                bytes[at] = [0, 0xff, random.next() as u8][random.below(3)];
            }
        }
    }
    bytes
}

#[test]
fn spoiled_files_neither_panic_nor_take_memory() {
    let header = r#"{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "I8", "shape": [2, 2], "data_offsets": [8, 12]}}"#;
    let (good_gguf, good_safetensors) = (sample().write(), safetensors_bytes(header, 12));
    let mut random = Random(20);
    let (mut refused, cases) = (0, 4000);
    for case in 0..cases {
        let bytes = spoiled(if case % 2 == 0 { &good_gguf } else { &good_safetensors }, &mut random);
        let size = bytes.len() as u64;
        LARGEST.set(0);
        let tensors = match case % 2 {
            0 => gguf(bytes).map(|read| read.tensors),
            _ => safetensors(bytes).map(|read| read.tensors),
        };
        assert!(LARGEST.get() < 32 << 10, "case {case} took {} bytes at once", LARGEST.get());
        match tensors {
            Ok(tensors) => assert!(tensors.iter().all(|tensor| tensor.range.end <= size), "case {case}"),
            Err(e) => {
                refused += 1;
                assert!(e.to_string().starts_with("`m."), "case {case}: {e}");
            }
        }
    }
    assert!(refused > cases / 2, "only {refused} of {cases} files were refused");
}
