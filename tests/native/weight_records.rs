//! Weights in safetensors as codes with scales: fp8 in all conventions, nvfp4, mxfp8, int8, 4 bits of bitsandbytes; against
//! PyTorch's states, against an independent forward of the values that the formats' formulas give, and with their faults.
//!
//! Fixtures: tests/fixtures/README.md, `formats`.

use crate::support::coded::{
    Coded, File, Table, bitsandbytes, f32s, file, floats, int8, mxfp8, nvfp4, record,
};
use crate::support::device;
use crate::support::files::path;
use crate::support::load::{load, load_placed};
use crate::support::models::{header_of, memory};
use crate::support::network::{self, Forward, IDS, config};
use crate::support::oracle::{Oracle, difference};
use gran_ted::device::Device;
use gran_ted::encoder::{Placement, Settings, TextEncoder};
use gran_ted::error::Result;
use gran_ted::format::TensorType;
use gran_ted::loader::{Header, Loading};
use gran_ted::model::{Feature, Pooling};
use gran_ted::quant::{self, Quantize};
use pollster::block_on;
use serde_json::{Value, json};

#[test]
fn floats_of_8_and_4_bits_have_the_values_of_their_tables() {
    let tables = Oracle::read("formats/tables.safetensors");
    let all: Vec<u8> = (0..=u8::MAX).collect();
    for (dtype, name) in
        [(TensorType::F8_E4M3, "e4m3fn"), (TensorType::F8_E5M2, "e5m2"), (TensorType::F8_E8M0, "e8m0")]
    {
        let (found, expected) = (quant::dequantize(dtype, &all), tables.floats(name));
        for (byte, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!(found == expected || found.is_nan() && expected.is_nan(), "{name} {byte:#x}: {found}");
        }
    }
    let fp4 = tables.floats("fp4");
    let expected: Vec<f32> =
        all.iter().flat_map(|byte| [byte >> 4, byte & 15].map(|code| fp4[usize::from(code)])).collect();
    assert_eq!(quant::dequantize(TensorType::F4, &all), expected);
}

/// The texts of the oracle, one after the other, without padding.
fn texts(oracle: &Oracle) -> Vec<Vec<u32>> {
    let (ids, mask) = (oracle.integers("input_ids"), oracle.integers("attention_mask"));
    let kept = |(ids, mask): (&[i64], &[i64])| {
        ids.iter().zip(mask).filter(|(_, mask)| **mask == 1).map(|(id, _)| *id as u32).collect()
    };
    ids.chunks(12).zip(mask.chunks(12)).map(kept).collect()
}

#[test]
fn packed_checkpoints_match_pytorch() {
    let oracle = Oracle::read("formats/expected.safetensors");
    let texts = texts(&oracle);
    for name in ["fp8_rows_unmarked", "int8_convrot", "mixed", "mxfp8"] {
        for (device, tolerance) in [(Device::cpu(), 1e-4), (device::gpu(), 1e-3)] {
            for streamed in [false, true] {
                let files = ["config.json".into(), format!("{name}.safetensors")];
                let header = header_of(&files.map(|name| path("formats").join(name)));
                let encoder = load_placed(header, Placement::new(streamed), device.clone());
                let ids: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
                let states = block_on(encoder.hidden_states(&ids)).unwrap();
                for (layer, state) in states.iter().enumerate() {
                    let all = oracle.floats(&format!("{name}.hidden_states.{layer}"));
                    let rows = all.chunks(12 * 64).zip(&texts);
                    let expected: Vec<f32> =
                        rows.flat_map(|(rows, text)| rows[..text.len() * 64].to_vec()).collect();
                    let found = difference(state, &expected);
                    println!("{name} {layer}: {found:.1e} on {}", encoder.device().adapter);
                    assert!(found < tolerance, "{name}: hidden_states.{layer} differs by {found:e}");
                }
            }
        }
    }
}

fn header(config: &Value, file: &File) -> Result<Header> {
    let files = [("config.json", config.to_string().into()), ("model.safetensors", file.write())];
    block_on(Header::read(memory(&files)))
}

fn embed(header: Header) -> Vec<f32> {
    let encoder: TextEncoder = load(header, Device::cpu());
    block_on(encoder.embed_ids(&[&IDS], &Settings::new(Feature::Last, Pooling::Mean))).unwrap().remove(0)
}

/// Embeds with the file that `encode` makes, and compares with an independent forward of the values; gives the file.
fn is_right(
    what: &str,
    tolerance: f64,
    encode: impl Fn(&str, [usize; 2], &[f32]) -> Option<Coded>,
    finish: impl Fn(&mut File),
) -> File {
    let (mut file, plain) = file(&network::tensors("qwen3"), encode);
    finish(&mut file);
    let found = embed(header(&config("qwen3"), &file).unwrap_or_else(|error| panic!("{what}: {error}")));
    let right = network::vector(&plain, &Forward::default());
    let apart = found.iter().zip(&right).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    println!("{what}: {apart:.1e}");
    assert!(apart < tolerance, "{what}: {apart} from the plain forward");
    file
}

fn is_linear(name: &str) -> bool {
    name.contains("_proj.")
}

const NEAR: f64 = 2e-5;
/// Values that are rounded to 16 bits.
const ROUNDED: f64 = 1e-4;

/// `scaled_fp8` with `scale_weight`, a scale for each layer.
fn marked(name: &str, shape: [usize; 2], values: &[f32]) -> Option<Coded> {
    let scale = if name.contains("v_proj") { ("scale_weight", &[1][..]) } else { ("scale_weight", &[][..]) };
    let (mut parts, plain) = floats(&Table::new("e4m3fn"), "F8_E4M3", shape, values, shape, scale);
    parts.push(("scale_input", ("F32", vec![], f32s(&[0.5]))));
    is_linear(name).then_some((parts, plain))
}

fn mark(file: &mut File) {
    file.tensors.insert("scaled_fp8".into(), ("F8_E4M3", vec![0], vec![]));
}

#[test]
fn fp8_is_read_in_every_convention() {
    let (e4m3, e5m2) = (Table::new("e4m3fn"), Table::new("e5m2"));
    let plain = |table: &Table, dtype, shape: [usize; 2], values: &[f32]| -> Coded {
        let coded: Vec<_> = values.iter().map(|value| table.nearest(*value)).collect();
        let (codes, values): (Vec<u8>, Vec<f32>) = coded.into_iter().unzip();
        (vec![("weight", (dtype, shape.to_vec(), codes))], values)
    };
    let whole = |(mut parts, values): Coded, name: &str| -> Option<Coded> {
        if name.ends_with("norm.weight") {
            parts[0].1.1.remove(0);
        }
        Some((parts, values))
    };
    is_right(
        "plain",
        NEAR,
        |name, shape, values| whole(plain(&e4m3, "F8_E4M3", shape, values), name),
        |_| (),
    );
    is_right(
        "plain E5M2",
        NEAR,
        |name, shape, values| whole(plain(&e5m2, "F8_E5M2", shape, values), name),
        |_| (),
    );
    is_right("scaled_fp8", NEAR, marked, mark);

    let comfy = |name: &str, shape: [usize; 2], values: &[f32]| {
        let (mut parts, plain) = floats(&e4m3, "F8_E4M3", shape, values, shape, ("weight_scale", &[]));
        parts.push(record(&json!({"format": "float8_e4m3fn", "full_precision_matrix_mult": true})));
        parts.push(("input_scale", ("F32", vec![], f32s(&[0.5]))));
        is_linear(name).then_some((parts, plain))
    };
    is_right("comfy_quant", NEAR, comfy, |_| ());

    let in_header = |name: &str, shape: [usize; 2], values: &[f32]| {
        is_linear(name).then(|| floats(&e5m2, "F8_E5M2", shape, values, shape, ("weight_scale", &[])))
    };
    is_right("_quantization_metadata", NEAR, in_header, |file| {
        let layers = file.tensors.keys().filter_map(|name| name.strip_suffix(".weight_scale"));
        let layers: serde_json::Map<_, _> =
            layers.map(|layer| (layer.into(), json!({"format": "float8_e5m2"}))).collect();
        let text = json!({"format_version": "1.0", "layers": layers}).to_string();
        file.metadata.insert("_quantization_metadata".into(), text.into());
    });

    for (what, column) in [("rows", false), ("rows of one column", true)] {
        let rows = |name: &str, shape: [usize; 2], values: &[f32]| {
            let scales = if column { vec![shape[0], 1] } else { vec![shape[0]] };
            let coded = || floats(&e4m3, "F8_E4M3", shape, values, [1, shape[1]], ("weight_scale", &scales));
            (is_linear(name) || name.contains("embed")).then(coded)
        };
        is_right(what, NEAR, rows, |_| ());
    }
    // The token table has three blocks of rows.
    let blocks = |name: &str, shape: [usize; 2], values: &[f32]| {
        let scales = shape.map(|len| len.div_ceil(128));
        let coded = || floats(&e4m3, "F8_E4M3", shape, values, [128, 128], ("weight_scale_inv", &scales));
        (is_linear(name) || name.contains("embed")).then(coded)
    };
    let file = is_right("blocks", NEAR, blocks, |_| ());
    let mut said = config("qwen3");
    said["quantization_config"] =
        json!({"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]});
    assert_eq!(embed(header(&said, &file).unwrap()), embed(header(&config("qwen3"), &file).unwrap()));
}

#[test]
fn codes_of_other_formats_are_read() {
    let table = Table::new("e4m3fn");
    let linear = |name: &str, coded: &dyn Fn() -> Coded| is_linear(name).then(coded);
    is_right("nvfp4", NEAR, |name, shape, values| linear(name, &|| nvfp4(&table, shape, values, 0)), |_| ());
    let padded = |name: &str, shape: [usize; 2], values: &[f32]| {
        linear(name, &|| nvfp4(&table, shape, values, shape[0].next_multiple_of(32) - shape[0]))
    };
    is_right("nvfp4, rows padded", NEAR, padded, |_| ());
    is_right("mxfp8", NEAR, |name, shape, values| linear(name, &|| mxfp8(&table, shape, values)), |_| ());
    is_right("int8", NEAR, |name, shape, values| linear(name, &|| int8(shape, values, false)), |_| ());
    is_right("int8 by rows", NEAR, |name, shape, values| linear(name, &|| int8(shape, values, true)), |_| ());
    for nested in [false, true] {
        // Runs of 24 begin in the midst of rows.
        for run in [64, 24] {
            let what = format!("bitsandbytes in runs of {run}, nested: {nested}");
            let coded = |name: &str, shape: [usize; 2], values: &[f32]| {
                linear(name, &|| bitsandbytes(shape, values, run, nested))
            };
            let file = is_right(&what, ROUNDED, coded, |_| ());
            let mut said = config("qwen3");
            said["quantization_config"] = json!({"quant_method": "bitsandbytes", "load_in_4bit": true});
            let header = header(&said, &file).unwrap();
            let warning =
                "14 matrices are repacked to 16 bits: an error of at most 1.5e-5 of the largest of 32 values";
            assert_eq!(header.info.warnings, [warning]);
            assert_eq!(header.quantize(Quantize::Q8).info.warnings, [] as [&str; 0]);
        }
    }
    // A factor for each input, as if x were multiplied with it.
    let with_input = |name: &str, shape: [usize; 2], values: &[f32]| {
        if !is_linear(name) {
            return None;
        }
        let (mut parts, mut plain) = nvfp4(&table, shape, values, 0);
        let input: Vec<f32> = (0..shape[1]).map(|i| 0.5 + i as f32 / 32.0).collect();
        plain.iter_mut().enumerate().for_each(|(at, value)| *value *= input[at % shape[1]]);
        parts.push(("pre_quant_scale", ("F32", vec![shape[1]], f32s(&input))));
        Some((parts, plain))
    };
    is_right("nvfp4 with pre_quant_scale", ROUNDED, with_input, |_| ());
}

/// A matrix that is packed by `--quantize` is packed from its values.
#[test]
fn fp8_can_be_packed_further() {
    let (mut file, plain) = file(&network::tensors("qwen3"), marked);
    mark(&mut file);
    let dense = network::safetensors(&plain, "model.");
    let files = [("config.json", config("qwen3").to_string().into()), ("model.safetensors", dense)];
    let dense = block_on(Header::read(memory(&files))).unwrap().quantize(Quantize::Q8);
    assert_eq!(embed(header(&config("qwen3"), &file).unwrap().quantize(Quantize::Q8)), embed(dense));
}

// --- faults ---

fn refusal(file: &File) -> String {
    header(&config("qwen3"), file).err().expect("refused").to_string()
}

/// What the load of the weights says.
fn fault(file: &File) -> String {
    let mut loading = Loading::new(header(&config("qwen3"), file).unwrap(), Device::cpu()).unwrap();
    loop {
        match block_on(loading.step()) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the weights are taken"),
            Err(error) => return error.to_string(),
        }
    }
}

const LAYER: &str = "model.layers.1.mlp.up_proj";

#[test]
fn a_scale_that_is_missing_or_of_another_shape_is_named() {
    let (mut good, _) = file(&network::tensors("qwen3"), marked);
    let without = |file: &File, end: &str| {
        let mut file = file.clone();
        file.tensors.remove(&format!("{LAYER}.{end}")).expect("it is there");
        file
    };
    // A layer alone without a scale is not plain, be the marker there or not.
    for name in ["scale_weight", "weight_scale"] {
        let line = refusal(&without(&good, "scale_weight"));
        let expected = format!(
            "`model.safetensors`: layer `{LAYER}` is stored as codes of F8_E4M3 without their scale: \
                                expected a tensor `{LAYER}."
        );
        assert!(line.starts_with(&expected), "{name}: {line}");
        mark(&mut good);
    }
    for shape in [vec![2], vec![63, 1], vec![1, 64], vec![64, 2]] {
        let mut file = good.clone();
        let count = shape.iter().product();
        let name = format!("{LAYER}.scale_weight");
        file.tensors.insert(name.clone(), ("F32", shape.clone(), f32s(&vec![1.0; count])));
        let line = refusal(&file);
        let expected = format!(
            "`model.safetensors`: tensor `{name}` is malformed: expected one value, or one for each of 64 rows, found F32 {shape:?}"
        );
        assert_eq!(line, expected);
    }
    for bad in [f32::NAN, f32::INFINITY] {
        let mut file = good.clone();
        let name = format!("{LAYER}.scale_weight");
        file.tensors.insert(name.clone(), ("F32", vec![], f32s(&[bad])));
        assert_eq!(
            fault(&file),
            format!("`model.safetensors`: tensor `{name}` holds a value that is not finite")
        );
    }
    // A code that is NaN.
    let mut file = good.clone();
    file.tensors.get_mut(&format!("{LAYER}.weight")).unwrap().2[7] = 0x7f;
    let expected = format!("`model.safetensors`: tensor `{LAYER}.weight` holds a value that is not finite");
    assert_eq!(fault(&file), expected);
}

#[test]
fn scales_of_micro_formats_are_checked() {
    let table = Table::new("e4m3fn");
    let encode = |name: &str, shape: [usize; 2], values: &[f32]| {
        is_linear(name).then(|| nvfp4(&table, shape, values, 0))
    };
    let (good, _) = file(&network::tensors("qwen3"), encode);
    for (end, found) in [("weight_scale", "nvfp4"), ("weight_scale_2", "nvfp4")] {
        let mut file = good.clone();
        file.tensors.remove(&format!("{LAYER}.{end}"));
        let line = refusal(&file);
        assert!(line.contains(&format!("layer `{LAYER}` is stored as codes of {found} without")), "{line}");
        assert!(line.ends_with(&format!("`{LAYER}.{end}`")), "{line}");
    }
    let mut file = good.clone();
    let name = format!("{LAYER}.weight_scale");
    file.tensors.insert(name.clone(), ("F8_E4M3", vec![64, 2], vec![56; 128]));
    let line = refusal(&file);
    assert!(line.ends_with("is malformed: expected 512 values, found F8_E4M3 [64, 2]"), "{line}");
    // Codes without a record.
    let mut file = good;
    file.tensors.remove(&format!("{LAYER}.comfy_quant"));
    let expected = format!(
        "`model.safetensors`: tensor `{LAYER}.weight` holds packed codes (U8) and nothing says what they are: "
    );
    assert!(refusal(&file).starts_with(&expected), "{}", refusal(&file));
}

#[test]
fn formats_that_are_not_read_are_refused_by_name() {
    let encode =
        |name: &str, shape: [usize; 2], values: &[f32]| is_linear(name).then(|| int8(shape, values, true));
    let (good, _) = file(&network::tensors("qwen3"), encode);
    let named = |found: &str| {
        format!("`model.safetensors`: layer `{LAYER}` is packed as {found}, which is not read, ")
    };
    for format in ["convrot_w4a4", "asym_w4a8_int8", "svdquant"] {
        let mut file = good.clone();
        let (end, stored) = record(&json!({ "format": format }));
        file.tensors.insert(format!("{LAYER}.{end}"), stored);
        let line = refusal(&file);
        assert!(line.starts_with(&named(format)), "{line}");
    }
    for (end, found) in
        [("qweight", "AWQ or GPTQ (`qweight`)"), ("weight_packed", "integers (`weight_packed`)")]
    {
        let mut file = good.clone();
        for end in ["weight", "weight_scale", "comfy_quant"] {
            file.tensors.remove(&format!("{LAYER}.{end}"));
        }
        file.tensors.insert(format!("{LAYER}.{end}"), ("I32", vec![4, 64], vec![0; 1024]));
        let line = refusal(&file);
        assert!(line.starts_with(&named(found)), "{line}");
    }
    for record in [
        json!({"quant_method": "awq", "bits": 4}),
        json!({"quant_method": "gptq", "bits": 4}),
        json!({"quant_method": "fp8", "weight_block_size": [64, 64]}),
        json!({"quant_method": "bitsandbytes", "load_in_8bit": true}),
        json!({"quant_method": "compressed-tensors", "format": "pack-quantized"}),
    ] {
        let mut said = config("qwen3");
        said["quantization_config"] = record.clone();
        let line = header(&said, &good).err().expect("refused").to_string();
        assert!(line.contains("`quantization_config` is {"), "{line}");
    }
    // A record that is none, and one of another type than the weight.
    let mut file = good.clone();
    file.tensors.insert(format!("{LAYER}.comfy_quant"), ("U8", vec![3], b"{]}".to_vec()));
    assert!(
        refusal(&file).contains("comfy_quant` is malformed: expected JSON with `format`"),
        "{}",
        refusal(&file)
    );
    let mut file = good;
    let (end, stored) = record(&json!({"format": "float8_e4m3fn"}));
    file.tensors.insert(format!("{LAYER}.{end}"), stored);
    let expected =
        format!("tensor `{LAYER}.weight` is malformed: expected F8_E4M3, as float8_e4m3fn has, found I8");
    assert!(refusal(&file).ends_with(&expected), "{}", refusal(&file));
}
