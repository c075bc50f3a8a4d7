//! Checkpoints of `torch.save` read right, and every fault of theirs by its message.

use crate::support::allocations::LARGEST;
use crate::support::files::fixture;
use crate::support::model::Random;
use crate::support::torch_writer::*;
use gran_ted::{
    error::Result,
    format::{Memory, TensorInfo, TensorType, safetensors::Safetensors, torch::Torch},
};
use std::ops::Range;

fn torch(bytes: Vec<u8>) -> Result<Torch> {
    pollster::block_on(Torch::read(&Memory::new("m.pt", bytes)))
}

fn message(bytes: Vec<u8>) -> String {
    torch(bytes).unwrap_err().to_string()
}

/// Names and shapes of the tensors.
fn names(read: &Torch) -> Vec<(&str, &[usize])> {
    read.tensors.iter().map(|tensor| (tensor.name.as_str(), &tensor.shape[..])).collect()
}

// --- what is read ---

/// Both files are of one model: epoch_1.pt by `torch.save`, adapter.safetensors by the `safetensors` package.
#[test]
fn a_checkpoint_of_the_reference_has_the_tensors_of_its_safetensors() {
    let [pt, safetensors] =
        ["epoch_1.pt", "adapter.safetensors"].map(|name| fixture(&format!("tiny-qwen3vl/{name}")));
    let bytes = |file: &[u8], range: &Range<u64>| file[range.start as usize..range.end as usize].to_vec();
    let mut read = torch(pt.clone()).unwrap();
    let expected = pollster::block_on(Safetensors::read(&Memory::new("m", safetensors.clone()))).unwrap();
    assert!(read.tensors.is_sorted_by_key(|tensor| tensor.range.start));
    read.tensors.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!((read.tensors.len(), expected.tensors.len(), read.skipped.len()), (30, 30, 0));
    for (read, expected) in read.tensors.iter().zip(&expected.tensors) {
        assert_eq!((&read.name, read.dtype, &read.shape), (&expected.name, expected.dtype, &expected.shape));
        assert_eq!(bytes(&pt, &read.range), bytes(&safetensors, &expected.range), "{}", read.name);
    }
}

#[test]
fn element_types_views_and_parameters_are_read() {
    let ordered =
        [call("collections", "OrderedDict", &[]), b"(".to_vec(), text("w"), two(), b"u".to_vec()].concat();
    let ordered = [ordered, dict(&[("_metadata", dict(&[]))]), b"b".to_vec()].concat();
    let size = call("torch", "Size", &[ints(&[3])]);
    let mut of_size = view(storage("HalfStorage", "0", 12), 9, &[], &[1]);
    of_size[2] = size;
    let untyped = [
        tuple(&[text("storage"), global("torch.storage", "UntypedStorage"), text("1"), vec![b'N'], int(16)]),
        b"Q".to_vec(),
    ]
    .concat();
    let of_dtype = |dtype: &str, shape: &[i32], strides: &[i32]| {
        let mut arguments = view(untyped.clone(), 1, shape, strides);
        arguments.extend([global("torch", dtype), b"N".to_vec()]);
        call("torch._utils", "_rebuild_tensor_v3", &arguments)
    };
    let parameter = [two(), vec![0x88], b"}".to_vec()];
    let mut plain = view(storage("FloatStorage", "0", 2), 0, &[1], &[1]);
    plain.push(b"}".to_vec());
    let value = dict(&[
        ("ordered", ordered),
        ("half", call("torch._utils", "_rebuild_tensor_v2", &of_size)),
        ("parameter", call("torch._utils", "_rebuild_parameter", &parameter)),
        ("plain", call("torch._utils", "_rebuild_tensor_v2", &plain)),
        ("rows", tensor(storage("BFloat16Storage", "1", 8), 2, &[2, 1, 3], &[3, 77, 1])),
        ("scalar", tensor(storage("FloatStorage", "1", 4), 3, &[], &[])),
        ("none", tensor(storage("FloatStorage", "1", 4), 4, &[0, 2], &[9, 9])),
        ("untyped", of_dtype("float32", &[3], &[1])),
        ("new", of_dtype("float8_e4m3fn", &[3], &[1])),
        ("count", tensor(storage("LongStorage", "no such entry", 1), 99, &[2, 2], &[0, 0])),
        ("other", [b"](".to_vec(), two(), text("x"), b"e".to_vec()].concat()),
    ]);
    let file = checkpoint(&value);
    let start = |byte: u8| file.windows(16).position(|bytes| bytes == [byte; 16]).unwrap() as u64;
    let read = torch(file.clone()).unwrap();
    let tensor = |name: &str, dtype, shape: &[usize], start: u64, len: u64| TensorInfo {
        name: name.into(),
        dtype,
        shape: shape.into(),
        range: start..start + len,
    };
    let (zero, one) = (start(7), start(8));
    let expected = [
        tensor("parameter", TensorType::F32, &[2], zero, 8),
        tensor("plain", TensorType::F32, &[1], zero, 4),
        tensor("ordered.w", TensorType::F32, &[2], zero, 8),
        tensor("half", TensorType::F16, &[3], zero + 18, 6),
        tensor("rows", TensorType::BF16, &[2, 1, 3], one + 4, 12),
        tensor("untyped", TensorType::F32, &[3], one + 4, 12),
        tensor("scalar", TensorType::F32, &[], one + 12, 4),
        tensor("none", TensorType::F32, &[0, 2], one + 16, 0),
    ];
    assert_eq!(read.tensors, expected);
    let skipped = [("new", "float8_e4m3fn"), ("count", "int64")];
    assert_eq!(read.skipped, skipped.map(|(name, dtype)| (name.to_string(), dtype.to_string())));
    assert_eq!(read.file, "m.pt");
}

/// CPython chose these opcodes for `pickle_protocol=4` and 5 of `torch.save`, whose `data.pkl` these bytes stand for:
/// ```python
/// import collections, io, pickle, sys, types
/// torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
/// sys.modules |= {"torch": torch, "torch._utils": utils}
/// exec("def _rebuild_tensor_v2(*_): pass", utils.__dict__)
/// exec("class HalfStorage: pass", torch.__dict__)
/// utils._rebuild_tensor_v2.__module__, torch.HalfStorage.__module__ = "torch._utils", "torch"
/// class Tensor:
///     def __reduce__(self):
///         return utils._rebuild_tensor_v2, (storage, 0, (2, 3), (3, 1), False, collections.OrderedDict())
/// class Pickler(pickle.Pickler):
///     def persistent_id(self, x):
///         if x is storage: return "storage", torch.HalfStorage, "0", "cpu", 6
/// storage = object()
/// numbers = [1, 300, 70000, -2, 1 << 40, 0.5, True, None, b"\0"]
/// value = {"model": collections.OrderedDict(w=Tensor()), "numbers": numbers}
/// for protocol in 4, 5:
///     file = io.BytesIO(); Pickler(file, protocol).dump(value); print(file.getvalue())
/// ```
#[test]
fn protocols_4_and_5_are_read() {
    let rest = b"\x95\xd8\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x05model\x94\x8c\x0bcollections\x94\x8c\x0bOrderedDict\
        \x94\x93\x94)R\x94\x8c\x01w\x94\x8c\x0ctorch._utils\x94\x8c\x12_rebuild_tensor_v2\x94\x93\x94((\x8c\x07storage\
        \x94\x8c\x05torch\x94\x8c\x0bHalfStorage\x94\x93\x94\x8c\x010\x94\x8c\x03cpu\x94K\x06t\x94QK\x00K\x02K\x03\x86\
        \x94K\x03K\x01\x86\x94\x89h\x04)R\x94t\x94R\x94s\x8c\x07numbers\x94]\x94(K\x01M,\x01Jp\x11\x01\x00J\xfe\xff\xff\
        \xff\x8a\x06\x00\x00\x00\x00\x00\x01G?\xe0\x00\x00\x00\x00\x00\x00\x88NC\x01\x00\x94eu.";
    for protocol in [4, 5] {
        let bytes = [&[0x80, protocol], &rest[..]].concat();
        let file = Archive::default().entry("x/data.pkl", &bytes, 0).entry("x/data/0", &[1; 12], 0);
        let read = torch(bytes_of(file)).unwrap();
        assert_eq!(names(&read), [("w", &[2, 3][..])]);
        assert_eq!(read.tensors[0].dtype, TensorType::F16);
    }
}

#[test]
fn every_plain_value_is_passed_over() {
    let values: [&[u8]; 22] = [
        b"N",
        b"\x88",
        b"\x89",
        b"K\x01",
        b"M\x01\x02",
        b"J\x01\x02\x03\x04",
        b"\x8a\x00",
        b"\x8a\x09123456789",
        b"\x8b\x02\x00\x00\x0012",
        b"G12345678",
        b"\x8c\x01a",
        b"U\x01a",
        b"T\x01\x00\x00\x00a",
        b"\x8d\x01\x00\x00\x00\x00\x00\x00\x00a",
        b"C\x01\xff",
        b"B\x01\x00\x00\x00\xff",
        b"\x8e\x01\x00\x00\x00\x00\x00\x00\x00\xff",
        b"\x96\x01\x00\x00\x00\x00\x00\x00\x00\xff",
        b"]Na(NNe",
        b")\x850)N\x860NNN\x870(t0(N)N1(Nt",
        b"}NNs(NN)Nu",
        // The memo has 4 values when these come.
        b"Nr\x04\x00\x00\x000j\x04\x00\x00\x00q\x000h\x00",
    ];
    let first = b"}\x94q\x00\x94\x94\x94(".to_vec();
    let items = values.into_iter().map(|value| [b"K\x01", value].concat()).collect::<Vec<_>>().concat();
    let read = torch(checkpoint(&[first, text("w"), two(), items, b"u".to_vec()].concat())).unwrap();
    assert_eq!(names(&read), [("w", &[2][..])]);
}

#[test]
fn the_weights_are_found_in_the_top_level() {
    let of = |items: &[(&str, Vec<u8>)]| {
        let read = torch(checkpoint(&dict(items))).unwrap();
        read.tensors.into_iter().map(|tensor| tensor.name).collect::<Vec<_>>()
    };
    let weights = || dict(&[("a", two()), ("b", dict(&[("c", two())]))]);
    // The weights are under one of three keys, when it holds a dictionary;
    for key in ["model", "state_dict", "module"] {
        assert_eq!(of(&[("w", two()), (key, weights()), ("optimizer", weights())]), ["a", "b.c"]);
    }
    assert_eq!(of(&[("module", dict(&[])), ("state_dict", weights()), ("model", two())]), ["a", "b.c"]);
    // or else they are all of it, but for the optimizer's.
    assert_eq!(of(&[("model", two()), ("optimizer", dict(&[("a", two())])), ("epoch", int(1))]), ["model"]);
    assert_eq!(of(&[("a", dict(&[("optimizer", two())]))]), ["a.optimizer"]);
    // A key may be a number.
    assert_eq!(of(&[("a", [b"}".to_vec(), int(-3), two(), b"s".to_vec()].concat())]), ["a.-3"]);
    // Training on several devices puts this before all names.
    assert_eq!(of(&[("module.a", two()), ("module.module.b", two())]), ["a", "module.b"]);
    assert_eq!(of(&[("module.a", two()), ("b", two())]), ["module.a", "b"]);
}

/// 3 GiB of optimizer come before the weights: the file has ZIP64 fields, and no byte is read but the directory, the pickle and
/// one header.
#[test]
fn a_large_checkpoint_is_read_by_small_ranges() {
    let far = tensor(storage("FloatStorage", "1", 4), 1, &[3], &[1]);
    let moments = tensor(storage("FloatStorage", "0", 1 << 30), 0, &[1 << 30], &[1]);
    let value = dict(&[("optimizer", dict(&[("m", moments)])), ("model", dict(&[("far", far)]))]);
    let file = Archive::wide()
        .entry("epoch_1/data.pkl", &pickle(&value), 0)
        .entry("epoch_1/byteorder", b"little", 0)
        .entry("epoch_1/data/0", &[], 1 << 32)
        .entry("epoch_1/data/1", &[0; 16], 0)
        .entry("epoch_1/other", &[], 1 << 20)
        .write();
    let read = pollster::block_on(Torch::read(&file)).unwrap();
    let start = file.pieces[3].0 + 30 + 14 + 7;
    assert!(start > 1 << 32);
    let expected = TensorInfo {
        name: "far".into(),
        dtype: TensorType::F32,
        shape: vec![3],
        range: start + 4..start + 16,
    };
    assert_eq!(read.tensors, [expected]);
    let ranges = file.ranges.into_inner();
    let total = ranges.iter().map(|range| range.end - range.start).sum::<u64>();
    assert!(ranges.len() == 9 && total < 68_000, "{total} bytes in {ranges:?}");
    assert_eq!(ranges[8], file.pieces[3].0..file.pieces[3].0 + 30 + 14);
}

#[test]
fn a_comment_may_end_the_archive() {
    let mut file = checkpoint(&dict(&[("w", two())]));
    let comment = b"PK\x05\x06 and more";
    let at = file.len() - 2;
    file.splice(at.., [&le(comment.len() as u64, 2)[..], comment].concat());
    assert_eq!(names(&torch(file.clone()).unwrap()), [("w", &[2][..])]);
    file.splice(at.., [&le(0xffff, 2)[..], &[b'P'; 0xffff]].concat());
    assert_eq!(names(&torch(file).unwrap()), [("w", &[2][..])]);
}

// --- what is refused ---

#[test]
fn a_file_that_is_no_checkpoint_is_named_for_what_it_seems() {
    assert!(Torch::is_torch(&checkpoint(b"N")) && !Torch::is_torch(b"PK\x05\x06") && !Torch::is_torch(b"PK"));
    let seems = |bytes: Vec<u8>, found: &str| {
        let (message, start) =
            (message(bytes), "`m.pt` is not a model: expected a checkpoint of torch.save, found");
        assert!(message.starts_with(&format!("{start} {found}")), "{message}");
    };
    seems(vec![], "an empty file");
    seems(b"<!DOCTYPE html><html>".into(), "an HTML or XML page");
    let old = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.";
    seems(old.into(), "one of the old format; load it and save it again with torch 1.6 or later");
    let entry = |name| Archive::default().entry(name, b"x", 0);
    seems(bytes_of(entry("word/document.xml")), "a zip archive without data.pkl");
    seems(bytes_of(entry("data.pkl")), "a zip archive without data.pkl");
    seems(bytes_of(entry("a/b/data.pkl")), "a zip archive without data.pkl");
    seems(
        bytes_of(entry("a/data.pkl").entry("b/data.pkl", b"", 0)),
        "a zip archive with more than one data.pkl",
    );
    seems(checkpoint(&two()), "a pickle of a tensor");
    seems(checkpoint(b"]"), "a pickle of a list");

    let empty = |value: &[u8], found: &str| {
        let expected = "expected a checkpoint with tensors of float32, float16 or bfloat16";
        assert_eq!(message(checkpoint(value)), format!("`m.pt` is not a model: {expected}, found {found}"));
    };
    empty(b"}", "no tensors");
    empty(&dict(&[("optimizer", dict(&[("w", two())])), ("epoch", int(1))]), "no tensors");
    let double = || tensor(storage("DoubleStorage", "0", 2), 0, &[2], &[1]);
    empty(&dict(&[("w", double()), ("v", double())]), "others alone, such as `w` of float64");
}

/// Asserts that a pickle of these bytes is malformed.
fn refused(pickle: &[u8], expected: &str, found: &str) {
    let file = bytes_of(Archive::default().entry("m/data.pkl", pickle, 0));
    let expected = format!("`m.pt`: data.pkl is malformed: expected {expected}, found {found}");
    assert_eq!(message(file), expected, "{}", String::from_utf8_lossy(pickle));
}

/// Whatever a pickle names beside the weights becomes a value that nothing reads, and whatever weight it makes is refused
/// by its name; nothing is run in either case.
#[test]
fn code_is_never_run_and_spoils_nothing_but_its_own_weights() {
    let state = || dict(&[("lr", int(1))]);
    let object = |module: &str, name: &str| [call(module, name, &[]), state(), b"b".to_vec()].concat();
    let dtype = call("numpy", "dtype", &[text("f8"), vec![0x89], vec![0x88]]);
    let scalar = call("numpy.core.multiarray", "scalar", &[dtype, b"C\x08\0\0\0\0\0\0\0\0".to_vec()]);
    let new = |class: Vec<u8>| [class, b")\x81".to_vec(), state(), b"b".to_vec()].concat();
    let defaults =
        [call("collections", "defaultdict", &[global("builtins", "list")]), dict(&[]), b"b".to_vec()];
    let counter = [call("collections", "Counter", &[dict(&[])]), text("a"), int(1), b"s".to_vec()].concat();
    let deque = [call("collections", "deque", &[]), b"(K\x01K\x02e".to_vec()].concat();
    for other in [
        call("os", "system", &[text("echo")]),
        b"\x8c\x05posix\x8c\x06system\x93\x8c\x04echo\x85R".to_vec(),
        call("builtins", "eval", &[text("1")]),
        object("argparse", "Namespace"),
        new(global("argparse", "Namespace")),
        [global("pathlib", "PosixPath"), tuple(&[text("a")]), b"}\x92".to_vec()].concat(),
        scalar,
        defaults.concat(),
        counter,
        deque,
        b"\x8f(K\x01K\x02\x90".to_vec(), // a set
        b"(K\x01K\x02\x91".to_vec(),     // a frozen one
        call("torch", "device", &[text("cuda")]),
        global("__main__", "Model"),
    ] {
        for value in [
            dict(&[("model", dict(&[("w", two())])), ("x", other.clone())]),
            dict(&[("model", dict(&[("w", two()), ("x", other.clone())]))]),
            dict(&[("w", two()), ("x", other.clone())]),
        ] {
            let read = torch(checkpoint(&value)).unwrap();
            assert_eq!((names(&read), read.skipped.len()), (vec![("w", &[2][..])], 0));
        }
    }

    // A weight that code would make is known by the code's name.
    let quantized = call("torch._utils", "_rebuild_qtensor", &[two()]);
    let parameter =
        call("torch._utils", "_rebuild_parameter", &[quantized.clone(), vec![0x88], b"}".to_vec()]);
    let unknown = tensor(storage("QInt8Storage", "0", 2), 0, &[2], &[1]);
    let value = dict(&[("w", two()), ("p", parameter), ("q", quantized), ("s", unknown)]);
    let read = torch(checkpoint(&value)).unwrap();
    let made = "an object of `torch._utils._rebuild_qtensor`";
    assert_eq!(read.skipped, ["p", "q"].map(|name| (name.to_string(), made.to_string())));
    assert_eq!(read.inert, [("s".to_string(), "an object of `torch.QInt8Storage`".to_string())]);

    let whole = message(checkpoint(&object("__main__", "Model")));
    assert!(whole.contains("`__main__.Model`, whose code is not run: save its `state_dict()`"), "{whole}");
    let allowed = "opcodes of protocol 2 to 5 without extensions";
    // These are INST, OBJ, EXT1, PERSID, and opcodes that only older protocols write.
    for opcode in [b'i', b'o', 0x82, b'P', b'I', b'V', 0xff] {
        refused(&pickle(&[b')', opcode]), allowed, &format!("the opcode {opcode:#04x}"));
    }
}

#[test]
fn the_names_of_wrapped_models_are_those_of_the_model() {
    for prefix in ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."] {
        let wrapped = |name: &str| format!("{prefix}{name}");
        let value = dict(&[(&wrapped("a.w"), two()), (&wrapped("b"), two())]);
        let read = torch(checkpoint(&dict(&[("model_state_dict", value)]))).unwrap();
        assert_eq!(names(&read), [("a.w", &[2][..]), ("b", &[2][..])], "{prefix}");
    }
}

#[test]
fn malformed_pickles_are_refused() {
    let end = "a pickle that ends with STOP";
    refused(b"", end, "its end at byte 0");
    refused(b"\x80\x02}", end, "its end at byte 3");
    refused(b"\x80\x02X\xff\xff\xff\xff", end, "its end at byte 7");
    refused(b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xff", end, "its end at byte 11");
    refused(b"\x80\x04\x95\x00\x00", end, "its end at byte 5");
    refused(b"\x80\x02ctorch", end, "its end at byte 8");
    refused(b"\x80\x02ctorch\nSize", end, "its end at byte 13");
    refused(b"\x80\x01N.", "a pickle of protocol 2 to 5", "protocol 1");
    refused(b"\x80\x06N.", "a pickle of protocol 2 to 5", "protocol 6");
    for pops in [
        &b"."[..],
        b"0",
        b"N(.",
        b"N(0",
        b"q\x00",
        b"a",
        b"Ns",
        b"}(NNs",
        b"N(\x85",
        b"NN\x87",
        b"R",
        b"b",
        b"Q",
        b"\x93",
    ] {
        let found = format!("none at byte {}", 2 + pops.len());
        refused(&[b"\x80\x02", pops].concat(), "a value on the stack", &found);
    }
    for marks in [&b"1"[..], b"t", b"]e", b"}u"] {
        let found = format!("none at byte {}", 2 + marks.len());
        refused(&[b"\x80\x02", marks].concat(), "a mark on the stack", &found);
    }
    refused(&pickle(b"Nq\x01"), "a memo index up to 0", "1");
    refused(&pickle(b"N\x94r\xff\xff\xff\xff"), "a memo index up to 1", "4294967295");
    refused(&pickle(b"N\x94h\x01"), "a memo of 1 values", "index 1");
    refused(
        &pickle(b"X\x01\x00\x00\x00\xff"),
        "UTF-8 text",
        "invalid utf-8 sequence of 1 bytes from index 0",
    );
    refused(&pickle(b"}Na"), "a list to append to", "a dictionary");
    refused(&pickle(b"]NNs"), "a dictionary to put items into", "a list");
    refused(&pickle(b"}(NNNu"), "a value for each key", "3 of both");
    refused(&pickle(b"N]\x93"), "the name of a global", "None and a list");
}

#[test]
fn malformed_calls_are_refused() {
    let calls = |value: &[u8], expected: &str, found: &str| refused(&pickle(value), expected, found);
    calls(b"N)R", "a function with a tuple of arguments", "None with a tuple");
    calls(b"ctorch\nSize\n]R", "a function with a tuple of arguments", "a class or a function with a list");
    let named =
        |name: &str, found: &str, value: &[u8]| calls(value, &format!("the arguments of {name}"), found);
    named("torch.Size", "(an integer)", &call("torch", "Size", &[int(1)]));
    named("FloatStorage", "(an integer)", &call("torch", "FloatStorage", &[int(1)]));
    named("float32", "()", &call("torch", "float32", &[]));
    named(
        "_rebuild_parameter",
        "(text, a plain value, a dictionary)",
        &call("torch._utils", "_rebuild_parameter", &[text("w"), vec![0x88], vec![b'}']]),
    );
    let rebuilt = |name: &str, arguments: &[Vec<u8>]| call("torch._utils", name, arguments);
    let good = view(storage("FloatStorage", "0", 2), 0, &[2], &[1]);
    let kinds = "a storage, an integer, a tuple, a tuple, a plain value, a dictionary";
    named(
        "_rebuild_tensor_v2",
        "(a storage, an integer, a tuple, a tuple, a plain value)",
        &rebuilt("_rebuild_tensor_v2", &good[..5]),
    );
    named("_rebuild_tensor_v2", "(None)", &rebuilt("_rebuild_tensor_v2", &[vec![b'N']]));
    named(
        "_rebuild_tensor_v2",
        &format!("({kinds}, a list)"),
        &rebuilt("_rebuild_tensor_v2", &[&good[..], &[b"]".to_vec()]].concat()),
    );
    named("_rebuild_tensor_v3", &format!("({kinds})"), &rebuilt("_rebuild_tensor_v3", &good));
    let many = vec![vec![b'N']; 1000];
    named(
        "_rebuild_tensor_v3",
        "(None, None, None, None, None, None, None, None)",
        &rebuilt("_rebuild_tensor_v3", &many),
    );
    let mut listed = good.clone();
    listed[2] = b"]".into();
    named(
        "_rebuild_tensor_v2",
        &format!("({})", kinds.replacen("a tuple", "a list", 1)),
        &rebuilt("_rebuild_tensor_v2", &listed),
    );

    let id = "the id of a storage";
    calls(b"NQ", id, "None");
    calls(&[tuple(&[text("storage")]), b"Q".to_vec()].concat(), id, "(text)");
    let module = [text("module"), global("torch", "FloatStorage"), text("0"), text("cpu"), int(1)];
    calls(
        &[tuple(&module), b"Q".to_vec()].concat(),
        id,
        "(text, a class or a function, text, text, an integer)",
    );
    calls(&storage("FloatStorage", "k", -1), "a length of storage `k`", "-1");
    let long = [
        tuple(&[
            text("storage"),
            global("torch", "FloatStorage"),
            text("k"),
            text("cpu"),
            b"\x8a\x08\0\0\0\0\0\0\0\x7f".to_vec(),
        ]),
        b"Q".to_vec(),
    ];
    calls(&long.concat(), "a length of storage `k`", "9151314442816847872");
    calls(b"}Nb", "the attributes of an ordered dictionary", "None of a dictionary");
    calls(b"]}b", "the attributes of an ordered dictionary", "a dictionary of a list");
}

#[test]
fn malformed_weights_are_refused() {
    let refused = |value: &[u8], item: &str, expected: &str, found: &str| {
        let expected = format!("`m.pt`: {item} is malformed: expected {expected}, found {found}");
        assert_eq!(message(checkpoint(value)), expected);
    };
    let w = |tensor: Vec<u8>, expected: &str, found: &str| {
        refused(&dict(&[("w", tensor)]), "tensor `w`", expected, found);
    };
    let float = |offset, shape: &[i32], strides: &[i32]| {
        tensor(storage("FloatStorage", "0", 6), offset, shape, strides)
    };
    let contiguous = |shape: &str| format!("contiguous elements of shape {shape}");
    w(float(0, &[3, 2], &[1, 3]), &contiguous("[3, 2]"), "strides [1, 3]");
    w(float(0, &[3, 2], &[0, 1]), &contiguous("[3, 2]"), "strides [0, 1]");
    w(float(0, &[2], &[2]), &contiguous("[2]"), "strides [2]");
    w(float(0, &[2], &[1, 1]), &contiguous("[2]"), "strides [1, 1]");
    w(float(0, &[2, 1], &[1]), &contiguous("[2, 1]"), "strides [1]");
    w(float(1, &[3, 2], &[2, 1]), "24 bytes within the 24 of storage `0`", "an offset of 1 elements");
    w(float(-1, &[2], &[1]), "8 bytes within the 24 of storage `0`", "an offset of -1 elements");
    w(float(7, &[0], &[1]), "0 bytes within the 24 of storage `0`", "an offset of 7 elements");
    w(float(0, &[7], &[1]), "28 bytes within the 24 of storage `0`", "an offset of 0 elements");
    w(float(0, &[-2], &[1]), "sizes and strides from 0 up", "-2");
    w(float(0, &[2], &[-1]), "sizes and strides from 0 up", "-1");
    w(
        float(0, &[i32::MAX; 3], &[1; 3]),
        "a size that fits the memory",
        "[2147483647, 2147483647, 2147483647]",
    );
    let mut named = view(storage("FloatStorage", "0", 6), 0, &[], &[]);
    named[2] = tuple(&[text("x")]);
    w(call("torch._utils", "_rebuild_tensor_v2", &named), "sizes and strides from 0 up", "text");
    let mut negated = view(storage("FloatStorage", "0", 6), 0, &[2], &[1]);
    negated.push(dict(&[("neg", vec![0x88])]));
    w(
        call("torch._utils", "_rebuild_tensor_v2", &negated),
        "elements as they are",
        "negated or conjugated ones",
    );

    let missing = dict(&[("w", tensor(storage("FloatStorage", "2", 2), 0, &[2], &[1]))]);
    refused(&missing, "the zip entry `epoch_1/data/2`", "an entry of this name", "none");
    let short = dict(&[("w", tensor(storage("FloatStorage", "0", 7), 0, &[2], &[1]))]);
    refused(&short, "the zip entry `epoch_1/data/0`", "28 bytes", "24");
    refused(&dict(&[("w", two()), ("w", two())]), "tensor `w`", "one of this name", "a second one");
    refused(
        &dict(&[("w.v", two()), ("w", dict(&[("v", two())]))]),
        "tensor `w.v`",
        "one of this name",
        "a second one",
    );
    refused(
        &dict(&[("model", dict(&[])), ("model", dict(&[]))]),
        "the dictionary `model`",
        "one of this name",
        "a second one",
    );
    let odd_key = [b"}N".to_vec(), two(), b"s".to_vec()].concat();
    refused(&dict(&[("a", odd_key)]), "a weight's name", "text", "None");
    assert_eq!(
        message(checkpoint(&dict(&[("w", float(0, &[1; 9], &[1; 9]))]))),
        "`m.pt`: the number of dimensions of tensor `w` is 9, expected at most 8"
    );
}

#[test]
fn deep_shared_and_circular_values_are_harmless() {
    // One dictionary is in itself, and one is in two places.
    let elsewhere = |name| {
        format!(
            "`m.pt`: the dictionary `{name}` is malformed: expected one of its own, found one that stands elsewhere too"
        )
    };
    assert_eq!(
        message(checkpoint(&[b"}\x94".to_vec(), text("a"), b"h\x00s".to_vec()].concat())),
        elsewhere("a")
    );
    let twice = [b"}(".to_vec(), text("a"), b"}\x94".to_vec(), text("w"), two(), b"s".to_vec()];
    let twice = [twice.concat(), text("b"), b"h\x00u".to_vec()].concat();
    assert_eq!(message(checkpoint(&twice)), elsewhere("b"));
    // They do not matter outside the weights.
    let list = b"]\x94h\x00a".to_vec();
    let value = [
        b"}\x94(".to_vec(),
        text("w"),
        two(),
        text("top"),
        b"]h\x00a".to_vec(),
        text("list"),
        list,
        b"u".to_vec(),
    ];
    assert_eq!(names(&torch(checkpoint(&value.concat())).unwrap()), [("w", &[2][..])]);

    // The lists are nested deeper than a stack of calls could be.
    let depth = 100_000;
    let tuples = [vec![b')'], vec![0x85; depth]].concat();
    let lists = [vec![b']'; depth], vec![b'a'; depth - 1]].concat();
    let dicts = [b"}N".repeat(depth), vec![b'N'], vec![b's'; depth]].concat();
    let marks = [vec![b'('; depth], vec![b't'; depth]].concat();
    for deep in [tuples, lists, dicts, marks] {
        let value = dict(&[("model", dict(&[("w", two())])), ("deep", deep)]);
        assert_eq!(names(&torch(checkpoint(&value)).unwrap()), [("w", &[2][..])]);
    }
    let deep = [b"}K\x01".repeat(depth), b"}".to_vec(), vec![b's'; depth]].concat();
    assert_eq!(
        message(checkpoint(&deep)),
        "`m.pt`: the length of all names is 16777217, expected at most 16777216"
    );
}

/// Writes bytes at the `offset` from the `nth` record whose signature ends with `kind`.
fn patched(mut bytes: Vec<u8>, kind: [u8; 2], nth: usize, offset: usize, patch: &[u8]) -> Vec<u8> {
    let mut records =
        (0..bytes.len() - 4).filter(|&at| bytes[at..].starts_with(&[b'P', b'K', kind[0], kind[1]]));
    let at = records.nth(nth).unwrap() + offset;
    bytes[at..at + patch.len()].copy_from_slice(patch);
    bytes
}

const LOCAL: [u8; 2] = [3, 4];
const ENTRY: [u8; 2] = [1, 2];
const END: [u8; 2] = [5, 6];
const END64: [u8; 2] = [6, 6];
const LOCATOR: [u8; 2] = [6, 7];

#[test]
fn malformed_archives_are_refused() {
    let good = || checkpoint(&dict(&[("w", two())]));
    let refused = |bytes: Vec<u8>, item: &str, expected: &str, found: &str| {
        let expected = format!("`m.pt`: {item} is malformed: expected {expected}, found {found}");
        assert_eq!(message(bytes), expected);
    };
    let size = good().len();
    let directory = size - 22 - 3 * 46 - 16 - 2 * 14;

    // 1. The end record.
    let cut_off = "none, as in a file that was cut off";
    refused(good()[..size - 1].into(), "the zip archive", "a directory at its end", cut_off);
    refused([&good()[..], b"\n"].concat(), "the zip archive", "a directory at its end", cut_off);
    refused(b"PK\x03\x04".into(), "the zip archive", "a directory at its end", cut_off);
    let absurd = |bytes: Vec<u8>, rest: &str| assert_eq!(message(bytes), format!("`m.pt`: {rest}"));
    absurd(
        patched(good(), END, 0, 12, &le(1 << 31, 4)),
        "the size of the zip directory is 2147483648, expected at most 268435456",
    );
    refused(
        patched(good(), END, 0, 12, &le(1 << 28, 4)),
        "the zip directory",
        &format!("an end before byte {}", size - 22),
        &format!("bytes {directory} to {}", directory + (1 << 28)),
    );
    refused(
        patched(good(), END, 0, 16, &le(directory as u64 + 1, 4)),
        "the zip directory",
        &format!("an end before byte {}", size - 22),
        &format!("bytes {} to {}", directory + 1, size - 21),
    );
    refused(
        patched(good(), END, 0, 10, &[4, 0]),
        "the zip directory",
        "4 entries",
        "something else at entry 3",
    );
    refused(
        patched(good(), ENTRY, 1, 0, b"P?"),
        "the zip directory",
        "3 entries",
        "something else at entry 1",
    );
    for field in [28, 30, 32] {
        let long = patched(good(), ENTRY, 2, field, &[0xff, 0xff]);
        refused(long, "the zip directory", "3 entries", "something else at entry 2");
    }
    refused(
        patched(good(), ENTRY, 2, 46 + 13, b"0"),
        "the zip directory",
        "one entry of each name",
        "a second `epoch_1/data/0`",
    );

    // 2. The entries.
    let entry = "the zip entry `epoch_1/data/0`";
    refused(patched(good(), ENTRY, 1, 10, &[8]), entry, "bytes as they are", "compression method 8");
    refused(patched(good(), ENTRY, 1, 8, &[1]), entry, "bytes as they are", "an encrypted entry");
    refused(patched(good(), ENTRY, 1, 20, &[23]), entry, "a size of 24 bytes", "23 bytes");
    let description = "the zip entry `epoch_1/data.pkl`";
    refused(patched(good(), ENTRY, 0, 10, &[8]), description, "bytes as they are", "compression method 8");
    let before = format!("a place before the directory at byte {directory}");
    refused(patched(good(), ENTRY, 0, 42, &le(0xffff_fffe, 4)), description, &before, "byte 4294967294");
    refused(
        patched(good(), ENTRY, 0, 42, &le(directory as u64 - 45, 4)),
        description,
        &before,
        &format!("byte {}", directory - 45),
    );
    refused(patched(good(), ENTRY, 0, 42, &[1]), description, "its header", "something else at byte 1");
    refused(patched(good(), LOCAL, 0, 30, b"E"), description, "its header", "something else at byte 0");
    refused(patched(good(), LOCAL, 0, 26, &[15]), description, "its header", "something else at byte 0");
    let end = format!("an end before the directory at byte {directory}");
    let len = pickle(&dict(&[("w", two())])).len();
    refused(
        patched(good(), LOCAL, 0, 28, &[0xff, 0xff]),
        description,
        &end,
        &format!("bytes {} to {}", 46 + 0xffff, 46 + 0xffff + len),
    );
    let large = [le(1 << 24, 4), le(1 << 24, 4)].concat();
    let start = directory - 16 - (30 + 14 + 7) - 24;
    let found = format!("bytes {start} to {}", start + (1 << 24));
    refused(patched(good(), ENTRY, 1, 20, &large), entry, &end, &found);
    // Nothing is asked of the entries that are not needed.
    assert_eq!(torch(patched(good(), ENTRY, 2, 8, &[1, 0, 8])).unwrap().tensors.len(), 1);

    // 3. The order of bytes.
    let with_order = |order: &[u8]| {
        let value = dict(&[("w", two())]);
        bytes_of(archive(&value).entry("epoch_1/data/0", &[7; 24], 0).entry("epoch_1/byteorder", order, 0))
    };
    assert_eq!(torch(with_order(b"little")).unwrap().tensors.len(), 1);
    refused(with_order(b"big"), "the zip entry `epoch_1/byteorder`", "`little`", "`big`");
    absurd(with_order(&[b' '; 17]), "the size of `epoch_1/byteorder` is 17, expected at most 16");
    let large = Archive::default().entry("m/data.pkl", b"", (4 << 20) + 1);
    absurd(bytes_of(large), "the size of `m/data.pkl` is 4194305, expected at most 4194304");
}

#[test]
fn malformed_zip64_records_are_refused() {
    let value = dict(&[("w", two())]);
    let good =
        || bytes_of(Archive::wide().entry("m/data.pkl", &pickle(&value), 0).entry("m/data/0", &[7; 8], 0));
    assert_eq!(names(&torch(good()).unwrap()), [("w", &[2][..])]);
    let refused = |bytes: Vec<u8>, item: &str, expected: &str, found: &str| {
        let expected = format!("`m.pt`: {item} is malformed: expected {expected}, found {found}");
        assert_eq!(message(bytes), expected);
    };
    let size = good().len() as u64;
    let (end64, locator) = (size - 22 - 20 - 56, size - 22 - 20);
    let directory = end64 - 2 * (46 + 33) - 10 - 8;

    let expected = format!("one that ends by byte {locator}");
    let at = |start: u64| patched(good(), LOCATOR, 0, 8, &le(start, 8));
    for start in [end64 - 1, end64 + 1, 1 << 63, u64::MAX] {
        refused(at(start), "the ZIP64 end record", &expected, &format!("something else at byte {start}"));
    }
    let count = |count| patched(good(), END64, 0, 32, &le(count, 8));
    assert_eq!(
        message(count(1 << 60)),
        "`m.pt`: the number of zip entries is 1152921504606846976, expected at most 1000000"
    );
    refused(count(1_000_000), "the zip directory", "1000000 entries", "something else at entry 2");
    let absurd = "`m.pt`: the size of the zip directory is 18446744073709551615, expected at most 268435456";
    assert_eq!(message(patched(good(), END64, 0, 40, &[0xff; 8])), absurd);
    refused(
        patched(good(), END64, 0, 48, &[0xff; 8]),
        "the zip directory",
        &format!("an end before byte {end64}"),
        "bytes 18446744073709551615 to 18446744073709551615",
    );
    // The end record may repeat the numbers, but has to agree.
    assert!(torch(patched(good(), END, 0, 16, &le(directory, 4))).is_ok());
    refused(patched(good(), END, 0, 10, &[3, 0]), "the ZIP64 end record", "the end record's 3", "2");

    // Extra fields are too short, or not there.
    for patch in [[1, 0, 23, 0], [1, 0, 25, 0], [2, 0, 24, 0]] {
        let bytes = patched(good(), ENTRY, 1, 46 + 8 + 5, &patch);
        refused(bytes, "the zip directory", "2 entries", "something else at entry 1");
    }
    let entry = "the zip entry `m/data/0`";
    let size = |size: u64| patched(good(), ENTRY, 1, 46 + 8 + 9, &[le(size, 8), le(size, 8)].concat());
    let found = format!("bytes {} to {}", directory - 8, u64::MAX);
    refused(size(u64::MAX), entry, &format!("an end before the directory at byte {directory}"), &found);
    let far = patched(good(), ENTRY, 1, 46 + 8 + 9 + 16, &[0xff; 8]);
    refused(
        far,
        entry,
        &format!("a place before the directory at byte {directory}"),
        &format!("byte {}", u64::MAX),
    );
}

#[test]
fn a_checkpoint_cut_anywhere_is_refused() {
    let whole = checkpoint(&dict(&[("w", two())]));
    for len in 0..whole.len() {
        let message = message(whole[..len].to_vec());
        assert!(message.contains("cut off") || len < 4, "cut at {len}: {message}");
    }
}

/// Changes some bytes of `part`, or writes an extreme number over it, or cuts it short when it is the file's end.
fn spoil(bytes: &mut Vec<u8>, part: Range<usize>, random: &mut Random) {
    let at = part.start + random.below(part.len());
    match random.below(8) {
        0 if part.end == bytes.len() => bytes.truncate(at),
        1 => {
            let number = [u64::MAX, 1 << 63, 1 << 32, 1 << 25, 0, random.next()][random.below(6)];
            let width = [2, 4, 8][random.below(3)].min(part.end - at);
            bytes[at..at + width].copy_from_slice(&le(number, width));
        }
        2 => {
            // Bytes of another place: opcodes and records that are right, where they do not belong.
            let len = (1 + random.below(32)).min(part.end - at);
            let from = part.start + random.below(part.len() - len + 1);
            bytes.copy_within(from..from + len, at);
        }
        _ => {
            for _ in 0..=random.below(4) {
                let at = part.start + random.below(part.len());
                bytes[at] = [0, 0xff, random.next() as u8, bytes[at] ^ 1 << random.below(8)][random.below(4)];
            }
        }
    }
}

#[test]
fn spoiled_checkpoints_neither_panic_nor_take_memory() {
    // The reference's checkpoint comes without most of its data, which is not read.
    let fixture = fixture("tiny-qwen3vl/epoch_1.pt");
    let fixture_parts = [0..2600, fixture.len() - 2400..fixture.len()];
    let value =
        dict(&[("model", dict(&[("w", two()), ("v", two())])), ("optimizer", two()), ("epoch", int(1))]);
    let small = Archive::wide().entry("m/data.pkl", &pickle(&value), 0).entry("m/byteorder", b"little", 0);
    let small = bytes_of(small.entry("m/data/0", &[7; 8], 0));
    let small_parts = [0..small.len(), 0..small.len()];

    let mut random = Random(30);
    let (mut refused, cases) = (0, 6000);
    for case in 0..cases {
        let (good, parts) = if case % 3 == 0 { (&fixture, &fixture_parts) } else { (&small, &small_parts) };
        let mut bytes = good.clone();
        spoil(&mut bytes, parts[random.below(2)].clone(), &mut random);
        let size = bytes.len();
        LARGEST.set(0);
        let read = torch(bytes);
        // The archive's last bytes, where its directory is looked for, are the most that is read at once.
        let limit = size.min(66 << 10) + (16 << 10);
        assert!(LARGEST.get() < limit, "case {case} took {} bytes at once", LARGEST.get());
        match read {
            Ok(read) => {
                assert!(!read.tensors.is_empty(), "case {case}");
                for tensor in read.tensors {
                    let len = tensor.shape.iter().product::<usize>() * tensor.dtype.block_bytes();
                    assert_eq!(tensor.range.end - tensor.range.start, len as u64, "case {case}");
                    assert!(tensor.range.end <= size as u64, "case {case}");
                }
            }
            Err(e) => {
                refused += 1;
                assert!(e.to_string().starts_with("`m."), "case {case}: {e}");
            }
        }
    }
    assert!(refused > cases / 2, "only {refused} of {cases} checkpoints were refused");
}
