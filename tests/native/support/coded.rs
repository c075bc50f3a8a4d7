//! Weights as codes with scales, in every format that safetensors files have: the tensors of a layer, and the values that
//! they stand for, by the formats' own formulas.

use super::network::Tensors;
use super::oracle::Oracle;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A tensor: dtype, shape, bytes.
pub type Stored = (&'static str, Vec<usize>, Vec<u8>);

/// A safetensors file in the making.
#[derive(Clone, Default)]
pub struct File {
    pub tensors: BTreeMap<String, Stored>,
    pub metadata: Map<String, Value>,
}

impl File {
    pub fn write(&self) -> Vec<u8> {
        let (mut header, mut data) = (Map::new(), Vec::<u8>::new());
        header.insert("__metadata__".into(), Value::Object(self.metadata.clone()));
        for (name, (dtype, shape, bytes)) in &self.tensors {
            let start = data.len();
            data.extend(bytes);
            let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [start, data.len()]});
            header.insert(name.clone(), entry);
        }
        let header = Value::Object(header).to_string().into_bytes();
        [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
    }
}

/// The values of a float of 8 bits, by its codes.
pub struct Table(Vec<f32>);

impl Table {
    /// `e4m3fn` or `e5m2`.
    pub fn new(name: &str) -> Self {
        Self(Oracle::read("formats/tables.safetensors").floats(name))
    }

    /// The code nearest to a value, and the code's value.
    pub fn nearest(&self, value: f32) -> (u8, f32) {
        let apart = |code: &u8| (self.0[usize::from(*code)] - value).abs();
        let finite = (0..=u8::MAX).filter(|code| self.0[usize::from(*code)].is_finite());
        let code = finite.min_by(|a, b| apart(a).total_cmp(&apart(b))).unwrap();
        (code, self.0[usize::from(code)])
    }

    fn largest(&self) -> f32 {
        largest(&self.0)
    }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().filter(|value| value.is_finite()).fold(0.0, |all, value| all.max(value.abs()))
}

pub fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A weight in a format: its tensors by their ends, and its values.
pub type Coded = (Vec<(&'static str, Stored)>, Vec<f32>);

/// ComfyUI's record.
pub fn record(text: &Value) -> (&'static str, Stored) {
    let bytes = text.to_string().into_bytes();
    ("comfy_quant", ("U8", vec![bytes.len()], bytes))
}

/// Floats of 8 bits with a scale for each block of `rows` and `columns`, and the scales' shape.
pub fn floats(
    table: &Table,
    dtype: &'static str,
    [n, k]: [usize; 2],
    values: &[f32],
    [rows, columns]: [usize; 2],
    (name, shape): (&'static str, &[usize]),
) -> Coded {
    let (down, across) = (n.div_ceil(rows), k.div_ceil(columns));
    let place = |at: usize| at / k / rows * across + at % k / columns;
    let mut scales = vec![0f32; down * across];
    values.iter().enumerate().for_each(|(at, value)| {
        let scale = &mut scales[place(at)];
        *scale = scale.max(value.abs() / table.largest());
    });
    let coded: Vec<_> =
        values.iter().enumerate().map(|(at, value)| table.nearest(value / scales[place(at)])).collect();
    let plain = coded.iter().enumerate().map(|(at, (_, value))| value * scales[place(at)]).collect();
    let codes = coded.iter().map(|(code, _)| *code).collect();
    (vec![("weight", (dtype, vec![n, k], codes)), (name, ("F32", shape.to_vec(), f32s(&scales)))], plain)
}

/// Scales in cuBLAS's order.
fn swizzled(scales: &[u8], [rows, columns]: [usize; 2]) -> (Vec<usize>, Vec<u8>) {
    let shape = vec![rows.next_multiple_of(128), columns.next_multiple_of(4)];
    let mut all = vec![0; shape[0] * shape[1]];
    for (at, scale) in scales.iter().enumerate() {
        let (r, c) = (at / columns, at % columns);
        let block = r / 128 * (shape[1] / 4) + c / 4;
        all[block * 512 + r % 32 * 16 + r % 128 / 32 * 4 + c % 4] = *scale;
    }
    (shape, all)
}

/// nvfp4, with `more` rows of zeros.
pub fn nvfp4(table: &Table, [n, k]: [usize; 2], values: &[f32], more: usize) -> Coded {
    const FP4: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let second = largest(values) / (448.0 * 6.0);
    let (mut codes, mut scales, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for group in values.chunks(16) {
        let (code, scale) = table.nearest(largest(group) / 6.0 / second);
        scales.push(code);
        for value in group {
            let size = value.abs() / (scale * second);
            let code =
                (0..8).min_by(|a, b| (FP4[*a] - size).abs().total_cmp(&(FP4[*b] - size).abs())).unwrap();
            codes.push(code as u8 | u8::from(*value < 0.0) << 3);
            plain.push(FP4[code] * scale * second * value.signum());
        }
    }
    let mut bytes: Vec<u8> = codes.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    bytes.resize(bytes.len() + more * k / 2, 0);
    let (shape, scales) = swizzled(&scales, [n, k / 16]);
    let tensors = vec![
        ("weight", ("U8", vec![n + more, k / 2], bytes)),
        ("weight_scale", ("F8_E4M3", shape, scales)),
        ("weight_scale_2", ("F32", vec![], f32s(&[second]))),
        record(&json!({"format": "nvfp4"})),
    ];
    (tensors, plain)
}

/// mxfp8.
pub fn mxfp8(table: &Table, [n, k]: [usize; 2], values: &[f32]) -> Coded {
    let (mut codes, mut scales, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for group in values.chunks(32) {
        let exponent = (largest(group) / 448.0).log2().ceil();
        scales.push((exponent + 127.0) as u8);
        for value in group {
            let (code, near) = table.nearest(value / exponent.exp2());
            codes.push(code);
            plain.push(near * exponent.exp2());
        }
    }
    let (shape, scales) = swizzled(&scales, [n, k / 32]);
    let tensors = vec![
        ("weight", ("F8_E4M3", vec![n, k], codes)),
        ("weight_scale", ("U8", shape, scales)),
        record(&json!({"format": "mxfp8"})),
    ];
    (tensors, plain)
}

/// int8 with a scale for each row, or for all.
pub fn int8([n, k]: [usize; 2], values: &[f32], by_row: bool) -> Coded {
    let rows = if by_row { 1 } else { n };
    let scales: Vec<f32> = values.chunks(rows * k).map(|rows| largest(rows) / 127.0).collect();
    let codes: Vec<i8> =
        values.iter().enumerate().map(|(at, value)| (value / scales[at / k / rows]).round() as i8).collect();
    let plain = codes.iter().enumerate().map(|(at, code)| f32::from(*code) * scales[at / k / rows]).collect();
    let shape = if by_row { vec![n, 1] } else { vec![] };
    let tensors = vec![
        ("weight", ("I8", vec![n, k], codes.iter().map(|code| *code as u8).collect())),
        ("weight_scale", ("F32", shape, f32s(&scales))),
        record(&json!({"format": "int8_tensorwise"})),
    ];
    (tensors, plain)
}

/// bitsandbytes: places in a table for runs of `run` values, whose scales are nested where `nested`.
pub fn bitsandbytes([n, k]: [usize; 2], values: &[f32], run: usize, nested: bool) -> Coded {
    // Any table will do: the file has it.
    let table: Vec<f32> = (0..16).map(|i| ((i as f32 - 7.0) / 8.0).powi(3)).collect();
    let bytes_of: Vec<f32> = (0..256).map(|i| (i as f32 - 100.0) / 128.0).collect();
    let (offset, run_of_runs) = (0.3f32, 4);
    let mut scales: Vec<f32> = values.chunks(run).map(largest).collect();
    let mut extra = Vec::new();
    let mut state = json!({"quant_type": "nf4", "blocksize": run, "dtype": "bfloat16", "shape": [n, k]});
    if nested {
        let outer: Vec<f32> = scales
            .chunks(run_of_runs)
            .map(|scales| scales.iter().map(|scale| (scale - offset).abs()).fold(0.0, f32::max))
            .collect();
        let place = |(i, scale): (usize, &f32)| {
            let apart =
                |byte: &u8| (bytes_of[usize::from(*byte)] * outer[i / run_of_runs] + offset - scale).abs();
            (0..=u8::MAX).min_by(|a, b| apart(a).total_cmp(&apart(b))).unwrap()
        };
        let bytes: Vec<u8> = scales.iter().enumerate().map(place).collect();
        scales = (bytes.iter().enumerate())
            .map(|(i, byte)| bytes_of[usize::from(*byte)] * outer[i / run_of_runs] + offset)
            .collect();
        extra.push(("weight.nested_absmax", ("F32", vec![outer.len()], f32s(&outer))));
        extra.push(("weight.nested_quant_map", ("F32", vec![256], f32s(&bytes_of))));
        extra.push(("weight.absmax", ("U8", vec![bytes.len()], bytes)));
        state["nested_blocksize"] = json!(run_of_runs);
        state["nested_offset"] = json!(offset);
    } else {
        extra.push(("weight.absmax", ("F32", vec![scales.len()], f32s(&scales))));
    }
    let nearest = |(at, value): (usize, &f32)| {
        let apart = |place: &usize| (table[*place] * scales[at / run] - value).abs();
        (0..16).min_by(|a, b| apart(a).total_cmp(&apart(b))).unwrap()
    };
    let codes: Vec<usize> = values.iter().enumerate().map(nearest).collect();
    let plain = codes.iter().enumerate().map(|(at, code)| table[*code] * scales[at / run]).collect();
    let bytes: Vec<u8> = codes.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect();
    let state = state.to_string().into_bytes();
    let mut tensors = vec![
        ("weight", ("U8", vec![bytes.len(), 1], bytes)),
        ("weight.quant_map", ("F32", vec![16], f32s(&table))),
        ("weight.quant_state.bitsandbytes__nf4", ("U8", vec![state.len()], state)),
    ];
    tensors.extend(extra);
    (tensors, plain)
}

/// A file of `all` under `model.`, in which `encode` gives the tensors of a layer's weight: `None` for F32. The plain
/// values come with it.
pub fn file(all: &Tensors, encode: impl Fn(&str, [usize; 2], &[f32]) -> Option<Coded>) -> (File, Tensors) {
    let (mut file, mut plain) = (File::default(), all.clone());
    for (name, (shape, values)) in all {
        let layer = format!("model.{}", name.trim_end_matches("weight"));
        let shape2 = <[usize; 2]>::try_from(&shape[..]).unwrap_or([1, values.len()]);
        match encode(name, shape2, values) {
            Some((parts, found)) => {
                parts
                    .into_iter()
                    .for_each(|(end, stored)| drop(file.tensors.insert(format!("{layer}{end}"), stored)));
                plain.insert(name.clone(), (shape.clone(), found));
            }
            None => drop(file.tensors.insert(format!("model.{name}"), ("F32", shape.clone(), f32s(values)))),
        }
    }
    (file, plain)
}
