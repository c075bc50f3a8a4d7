//! A layer taken apart: the kernels that it runs, how often, with how much arithmetic and traffic. The benchmark times
//! each part. Runs go through the layers in turn, so that weights come from memory, as in a pass, and not from a cache.

use super::super::linear::{Linear, Norm};
use super::{Attention, Batch, Decoder, Layer, Layers, Places};
use crate::error::Result;
use crate::kernel::{self, Activation};
use burn::tensor::Tensor;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A step of a layer, on the tensors of one batch.
pub(crate) struct Part {
    /// Its name in the layer, such as `q_proj`.
    pub name: &'static str,
    /// The kernel that it runs, such as `quant_matmul`; `layer` for the whole layer.
    pub kernel: &'static str,
    /// The shapes of its tensors, in words.
    pub shape: String,
    /// The number of its runs in a layer.
    pub calls: usize,
    /// The number of kernels that the device gets, for all calls.
    pub dispatches: usize,
    /// The operations of one call. A multiply-add counts as two, an exponential or a root as one.
    pub flop: f64,
    /// The bytes that one call has to move between memory and processor: each input and output once.
    pub bytes: f64,
    /// Runs it once. Each run has the weights of the next layer.
    pub run: Run,
}

/// A run of one kernel or several, with its result.
pub(crate) type Run = Box<dyn Fn() -> Tensor<2> + Send + Sync>;

/// The size of an f32 in bytes.
const FLOAT: f64 = size_of::<f32>() as f64;

impl Decoder {
    /// The parts of a layer on `x [T, D]`, then the layer as a whole, and the `layer_mix` that a feature adds to each
    /// layer.
    ///
    /// # Errors
    /// If layers are streamed, those of their source.
    pub(crate) async fn parts(&self, x: Tensor<2>, batch: &Batch) -> Result<Vec<Part>> {
        let first;
        let layers = match &self.layers {
            Layers::Resident(layers) => layers,
            Layers::Streamed { source, config, .. } => {
                first = [Layer::load(&mut source.load(0).await?, 0, config)?];
                &first[..]
            }
        };
        let mut parts = parts(layers, &x, batch, &self.places);
        let whole = |of: fn(&Part) -> f64| parts.iter().map(|part| part.calls as f64 * of(part)).sum();
        let (flop, bytes) = (whole(|part| part.flop), whole(|part| part.bytes));
        let dispatches = parts.iter().map(|part| part.dispatches).sum();
        let mix = elementwise("layer_mix", "layer_mix", &x, [8.0, 3.0], {
            let (mix, x) = (x.zeros_like(), x.clone());
            move || kernel::layer_mix(mix.clone(), x.clone(), 0.5)
        });
        let (batch, places) = (batch.clone(), self.places.clone());
        let shape = format!("{:?}", x.dims());
        let run = in_turn(layers.to_vec(), move |layer| layer.forward(x.clone(), &batch, &places));
        parts.push(Part { name: "layer", kernel: "layer", shape, calls: 1, dispatches, flop, bytes, run });
        parts.push(mix);
        Ok(parts)
    }
}

/// The steps of [`Layer::forward`] on `x [T, D]`, in order. Equal steps stand once.
///
/// Each input is a tensor of its own, as WebGPU refuses a buffer that is bound twice for writing.
fn parts(layers: &[Layer], x: &Tensor<2>, batch: &Batch, places: &Places) -> Vec<Part> {
    // In a file of mixed types, other layers may be joined in another way.
    let joined = |layer: &Layer| (layer.self_attn.qkv_proj.len(), layer.mlp.gate_up_proj.len());
    let alike: Vec<_> = layers.iter().filter(|layer| joined(layer) == joined(&layers[0])).cloned().collect();
    let (attn, mlp) = (&layers[0].self_attn, &layers[0].mlp);
    let linears = |of: &dyn Fn(&Layer) -> &Linear| alike.iter().map(|layer| of(layer).clone()).collect();
    let output = |of: &Linear| -> Tensor<2> {
        Tensor::full([x.dims()[0], of.facts().0.out_features], 0.5, &x.device())
    };
    let all = [&layers[0].attn_norms, &layers[0].mlp_norms];
    let all: Vec<_> =
        all.into_iter().flat_map(|norms| [&norms.input, &norms.output, &norms.after]).flatten().collect();
    let mut norms = norm("norms", all[0], x);
    (norms.calls, norms.dispatches) = (all.len(), all.len());
    let mut parts = vec![norms];
    for (i, name) in
        names(attn.qkv_proj.len(), ["q_proj", "k_proj", "v_proj"], ["qk_proj", "qkv_proj"]).enumerate()
    {
        parts.push(product(name, linears(&|layer| &layer.self_attn.qkv_proj[i]), x, Store::Plain));
    }
    parts.extend(attention(attn, attn.qkv_proj.iter().map(output).collect(), batch, places));
    let attended = Tensor::full([x.dims()[0], attn.o_proj.facts().0.in_features], 0.5, &x.device()); // [T, H * head_dim]
    parts.push(product("o_proj", linears(&|layer| &layer.self_attn.o_proj), &attended, Store::Add));
    if let [gate, up] = &mlp.gate_up_proj[..] {
        parts.push(product("gate_proj", linears(&|layer| &layer.mlp.gate_up_proj[0]), x, Store::Plain));
        parts.push(product("up_proj", linears(&|layer| &layer.mlp.gate_up_proj[1]), x, Store::Plain));
        let [gate, up] = [gate, up].map(output); // [T, F]
        let run = {
            let gate = gate.clone();
            let activation = mlp.activation;
            move || kernel::glu(gate.clone(), up.clone(), activation)
        };
        parts.push(elementwise("glu", "glu", &gate, [ACTIVATION_FLOP + 1.0, 3.0], run));
    } else {
        let store = if mlp.gated { Store::Gated(mlp.activation) } else { Store::Activated(mlp.activation) };
        let name = if mlp.gated { "gate_up_proj" } else { "up_proj" };
        parts.push(product(name, linears(&|layer| &layer.mlp.gate_up_proj[0]), x, store));
    }
    let hidden = Tensor::full([x.dims()[0], mlp.down_proj.facts().0.in_features], 0.5, &x.device()); // [T, F]
    parts.push(product("down_proj", linears(&|layer| &layer.mlp.down_proj), &hidden, Store::Add));
    parts
}

/// The names of `count` projections, of which the first may be joined. `parts` are the names of single ones, `joined`
/// those of two and of three in one.
fn names(
    count: usize,
    parts: [&'static str; 3],
    joined: [&'static str; 2],
) -> impl Iterator<Item = &'static str> {
    let first = match count {
        3 => parts[0],
        2 => joined[0],
        _ => joined[1],
    };
    let rest = if count == 3 { &[parts[1], parts[2]][..] } else { &[parts[2]][..count - 1] };
    std::iter::once(first).chain(rest.to_vec())
}

/// The operations of SiLU per value, which stand for those of any activation.
const ACTIVATION_FLOP: f64 = 4.0;

/// The use of the sums of a product.
enum Store {
    /// They are stored.
    Plain,
    /// They are added to the residual stream.
    Add,
    /// Their activation is stored.
    Activated(Activation),
    /// They are of a gate and an up projection, which become one value.
    Gated(Activation),
}

/// A run that has the next of `weights` each time.
fn in_turn<W: Send + Sync + 'static>(
    weights: Vec<W>,
    run: impl Fn(&W) -> Tensor<2> + Send + Sync + 'static,
) -> Run {
    let turn = AtomicUsize::new(0);
    Box::new(move || run(&weights[turn.fetch_add(1, Ordering::Relaxed) % weights.len()]))
}

/// The product of `x [T, K]` with the weights of a linear layer, which takes turns with those of the other layers.
fn product(name: &'static str, linears: Vec<Linear>, x: &Tensor<2>, store: Store) -> Part {
    let (weight, biased) = linears[0].facts();
    let [t, k] = x.dims();
    let n = weight.out_features;
    let words = (weight.words.dims().iter().product::<usize>()
        + weight.scales.dims().iter().product::<usize>())
        * size_of::<u32>();
    let (stored, flop) = match store {
        Store::Plain => (n + n * usize::from(biased), 0.0),
        Store::Add if biased => (3 * n, 2.0),
        Store::Add => (2 * n, 1.0),
        Store::Activated(_) => (n, ACTIVATION_FLOP),
        Store::Gated(_) => (n / 2, (ACTIVATION_FLOP + 1.0) / 2.0),
    };
    let x = x.clone();
    Part {
        name,
        kernel: "quant_matmul",
        shape: format!("[{t}, {k}] x [{n}, {k}]"),
        calls: 1,
        dispatches: if biased && matches!(store, Store::Add) { 2 } else { 1 },
        flop: (2.0 * k as f64 + flop) * (t * n) as f64,
        bytes: words as f64 + FLOAT * (t * (k + stored)) as f64,
        run: match store {
            Store::Plain => in_turn(linears, move |linear| linear.forward(x.clone())),
            Store::Add => {
                let to = Tensor::zeros([t, n], &x.device());
                in_turn(linears, move |linear| linear.forward_add(x.clone(), to.clone()))
            }
            Store::Activated(activation) => {
                in_turn(linears, move |linear| linear.forward_activated(x.clone(), activation))
            }
            Store::Gated(activation) => {
                in_turn(linears, move |linear| linear.forward_glu(x.clone(), activation))
            }
        },
    }
}

fn norm(name: &'static str, norm: &Norm, x: &Tensor<2>) -> Part {
    let (norm, input) = (norm.clone(), x.clone());
    elementwise(name, norm.kernel(), x, [4.0, 2.0], move || norm.forward(input.clone()))
}

/// The rotation of q and k, and the attention of one text. `products` are the results of `qkv_proj`.
fn attention(attn: &Attention, products: Vec<Tensor<2>>, batch: &Batch, places: &Places) -> Vec<Part> {
    let heads = attn.heads;
    let (t, width, kv) = (products[0].dims()[0], heads.count * heads.dim, heads.kv * heads.dim);
    let rotated = |name, x: &Tensor<2>, which: std::ops::Range<usize>| {
        let (kernel, flop) = if attn.qk_norm.is_some() { ("norm_rotary", 7.0) } else { ("rotary", 3.0) };
        let shape: Tensor<2> = Tensor::zeros([t, which.len() * heads.dim], &x.device());
        let (attn, batch, places, input) = (attn.clone(), batch.clone(), places.clone(), x.clone());
        let run = move || attn.rotate(input.clone(), which.clone(), &batch, &places);
        elementwise(name, kernel, &shape, [flop, 2.0], run)
    };
    let all = heads.count + heads.kv;
    let mut parts = match &products[..] {
        _ if attn.kind.rope.is_none() => Vec::new(),
        [q, k, _] => vec![rotated("q_rotary", q, 0..heads.count), rotated("k_rotary", k, heads.count..all)],
        joined => vec![rotated("rotary", &joined[0], 0..all)],
    };
    let (qk, v) = attn.turned(&products, batch, places);
    // A causal token i sees i + 1 tokens, another one its whole text.
    let pairs = if batch.is_causal { t * (t + 1) / 2 } else { t * t } as f64;
    let (attn, batch, places) = (attn.clone(), batch.clone(), places.clone());
    parts.push(Part {
        name: "attention",
        kernel: "attention",
        shape: format!("[{t}, {width}] x [{t}, {kv}], {} heads of {}", heads.count, heads.dim),
        calls: 1,
        dispatches: 1,
        flop: 4.0 * width as f64 * pairs,
        bytes: FLOAT * (2 * t * (width + kv)) as f64,
        run: Box::new(move || attn.attend(qk.clone(), v.clone(), &batch, &places)),
    });
    parts
}

/// A kernel with `flop` operations per value of `x`, which reads and writes `tensors` tensors of its shape.
fn elementwise(
    name: &'static str,
    kernel: &'static str,
    x: &Tensor<2>,
    [flop, tensors]: [f64; 2],
    run: impl Fn() -> Tensor<2> + Send + Sync + 'static,
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
