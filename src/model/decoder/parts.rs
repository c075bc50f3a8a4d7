//! A layer taken apart: what it runs, how often, with how much arithmetic and traffic. The benchmark times each part.
//! Runs go through the layers in turn: their weights come from memory, as in a pass, and not from a cache.

use super::super::linear::{Linear, RmsNorm};
use super::{Batch, Decoder, Layer, Layers};
use crate::error::Result;
use crate::kernel;
use burn::tensor::Tensor;
use std::cell::Cell;

/// A step of a layer, on the tensors of one batch.
pub struct Part {
    /// Its name in the layer, such as `q_proj`.
    pub name: &'static str,
    /// What it runs, such as `quant_matmul`; `layer` for all of it.
    pub kernel: &'static str,
    /// The shapes, in words.
    pub shape: String,
    /// Times in a layer.
    pub calls: usize,
    /// Kernels that the device is given, for all calls.
    pub dispatches: usize,
    /// Arithmetic of one call: a multiply-add counts two, an exponential or a root one.
    pub flop: f64,
    /// Bytes that one call has to move between memory and processor: each input and output once.
    pub bytes: f64,
    /// Runs it once, each time with the weights of the next layer.
    pub run: Box<dyn Fn() -> Tensor<2>>,
}

/// Bytes of an f32.
const FLOAT: f64 = size_of::<f32>() as f64;

impl Decoder {
    /// The parts of a layer, the layer as a whole (last but one), and the `layer_mix` that a feature adds to each.
    ///
    /// # Errors
    /// Where layers are streamed, those of their source.
    pub async fn parts(&self, x: Tensor<2>, batch: &Batch) -> Result<Vec<Part>> {
        let first;
        let layers = match &self.layers {
            Layers::Resident(layers) => layers,
            Layers::Streamed { source, config, .. } => {
                first = [Layer::load(&mut source.load(0).await?, 0, config)?];
                &first[..]
            }
        };
        let mut parts = parts(layers, &x, batch, &self.table);
        let whole = |of: fn(&Part) -> f64| parts.iter().map(|part| part.calls as f64 * of(part)).sum();
        let (flop, bytes) = (whole(|part| part.flop), whole(|part| part.bytes));
        let dispatches = parts.iter().map(|part| part.dispatches).sum();
        let mix = elementwise("layer_mix", "layer_mix", &x, [8.0, 3.0], {
            let (mix, x) = (x.zeros_like(), x.clone());
            move || kernel::layer_mix(mix.clone(), x.clone(), 0.5)
        });
        let (batch, table) = (batch.clone(), self.table.clone());
        let shape = format!("{:?}", x.dims());
        let run = in_turn(layers.to_vec(), move |layer| layer.forward(x.clone(), &batch, &table));
        parts.push(Part { name: "layer", kernel: "layer", shape, calls: 1, dispatches, flop, bytes, run });
        parts.push(mix);
        Ok(parts)
    }
}

/// What [`Layer::forward`] does on `x [T, D]`, in its order; equal parts stand once.
///
/// Each input is a tensor of its own: WebGPU refuses a buffer that is bound twice to be written.
fn parts(layers: &[Layer], x: &Tensor<2>, batch: &Batch, table: &Tensor<2>) -> Vec<Part> {
    let (attn, mlp) = (&layers[0].self_attn, &layers[0].mlp);
    let product = |name, of: fn(&Layer) -> &Linear, x: &Tensor<2>| {
        product(name, layers.iter().map(|layer| of(layer).clone()).collect(), x)
    };
    let output = |of: &Linear| -> Tensor<2> {
        Tensor::full([x.dims()[0], of.facts().0.out_features], 0.5, &x.device())
    };
    let q = output(&attn.q_proj); // [T, H * head_dim]
    let [k, v] = [&attn.k_proj, &attn.v_proj].map(output); // [T, KV * head_dim]
    let [gate, up] = [&mlp.gate_proj, &mlp.up_proj].map(output); // [T, F]
    let [q_norm, k_norm] = match &attn.qk_norm {
        Some([q, k]) => [Some(q.clone()), Some(k.clone())],
        None => [None, None],
    };
    let rotated = |name, x: &Tensor<2>, norm: Option<Tensor<1>>| {
        let (kernel, flop) = if norm.is_some() { ("norm_rotary", 7.0) } else { ("rotary", 3.0) };
        let (attn, batch, table, input) = (attn.clone(), batch.clone(), table.clone(), x.clone());
        let run = move || attn.rotate(input.clone(), norm.as_ref(), &batch, &table);
        elementwise(name, kernel, x, [flop, 2.0], run)
    };
    let mut norms = norm("norms", &layers[0].input_layernorm, x);
    (norms.calls, norms.dispatches) = (2, 2);
    let mut residuals = elementwise("residuals", "add", x, [1.0, 3.0], {
        let (skip, x) = (x.zeros_like(), x.clone());
        move || skip.clone() + x.clone()
    });
    (residuals.calls, residuals.dispatches) = (2, 2);
    vec![
        norms,
        product("q_proj", |layer| &layer.self_attn.q_proj, x),
        product("k_proj", |layer| &layer.self_attn.k_proj, x),
        product("v_proj", |layer| &layer.self_attn.v_proj, x),
        rotated("q_rotary", &q, q_norm),
        rotated("k_rotary", &k, k_norm),
        attention([&q, &k, &v], batch, attn.head_dim),
        product("o_proj", |layer| &layer.self_attn.o_proj, &q),
        product("gate_proj", |layer| &layer.mlp.gate_proj, x),
        product("up_proj", |layer| &layer.mlp.up_proj, x),
        elementwise("swiglu", "swiglu", &gate, [5.0, 3.0], {
            let gate = gate.clone();
            move || kernel::swiglu(gate.clone(), up.clone())
        }),
        product("down_proj", |layer| &layer.mlp.down_proj, &gate),
        residuals,
    ]
}

/// Runs with the next of `weights` each time.
fn in_turn<W: 'static>(
    weights: Vec<W>,
    run: impl Fn(&W) -> Tensor<2> + 'static,
) -> Box<dyn Fn() -> Tensor<2>> {
    let turn = Cell::new(0);
    Box::new(move || run(&weights[turn.replace((turn.get() + 1) % weights.len())]))
}

/// `x [T, K]` through a linear layer.
fn product(name: &'static str, linears: Vec<Linear>, x: &Tensor<2>) -> Part {
    let (weight, biased) = linears[0].facts();
    let [t, k] = x.dims();
    let n = weight.out_features;
    let words = (weight.words.dims().iter().product::<usize>()
        + weight.scales.dims().iter().product::<usize>())
        * size_of::<u32>();
    Part {
        name,
        kernel: "quant_matmul",
        shape: format!("[{t}, {k}] x [{n}, {k}]"),
        calls: 1,
        dispatches: 1 + usize::from(biased),
        flop: 2.0 * (t * k * n) as f64,
        bytes: words as f64 + FLOAT * (t * (k + n)) as f64,
        run: in_turn(linears, {
            let x = x.clone();
            move |linear| linear.forward(x.clone())
        }),
    }
}

fn norm(name: &'static str, norm: &RmsNorm, x: &Tensor<2>) -> Part {
    let (norm, input) = (norm.clone(), x.clone());
    elementwise(name, "rms_norm", x, [4.0, 2.0], move || norm.forward(input.clone()))
}

/// Attention of one text: token i sees i + 1 tokens.
fn attention([q, k, v]: [&Tensor<2>; 3], batch: &Batch, head_dim: usize) -> Part {
    let ([t, width], [_, kv]) = (q.dims(), k.dims());
    let pairs = (t * (t + 1) / 2) as f64;
    let (q, k, v, spans) = (q.clone(), k.clone(), v.clone(), batch.spans.clone());
    Part {
        name: "attention",
        kernel: "attention",
        shape: format!("[{t}, {width}] x [{t}, {kv}], {} heads of {head_dim}", width / head_dim),
        calls: 1,
        dispatches: 1,
        flop: 4.0 * width as f64 * pairs,
        bytes: FLOAT * (2 * t * (width + kv)) as f64,
        run: Box::new(move || kernel::attention(q.clone(), k.clone(), v.clone(), spans.clone(), head_dim)),
    }
}

/// A kernel of so much arithmetic a value of `x` and so many tensors of its shape read and written.
fn elementwise(
    name: &'static str,
    kernel: &'static str,
    x: &Tensor<2>,
    [flop, tensors]: [f64; 2],
    run: impl Fn() -> Tensor<2> + 'static,
) -> Part {
    let [t, width] = x.dims();
    let values = (t * width) as f64;
    Part {
        name,
        kernel,
        shape: format!("[{t}, {width}]"),
        calls: 1,
        dispatches: 1,
        flop: flop * values,
        bytes: FLOAT * tensors * values,
        run: Box::new(run),
    }
}
