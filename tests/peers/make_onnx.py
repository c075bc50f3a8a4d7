"""Builds an ONNX text encoder (no output head) from a llama-architecture GGUF, in the fused form of the models that
transformers.js runs: MatMulNBits (4 bits, blocks of 32, symmetric), GroupQueryAttention with its rotary embedding,
SkipSimplifiedLayerNormalization. Its output is last_hidden_state, after the final norm.

The symmetric 4 bits lose the file's minima: good for timing, not for accuracy.
usage: make_onnx.py IN.gguf OUT.onnx
"""

import sys

import numpy as np
import onnx
from gguf import GGUFReader
from gguf.quants import dequantize
from onnx import TensorProto, helper, numpy_helper

MICROSOFT = "com.microsoft"
MAX_LENGTH = 1024
BLOCK = 32

source, destination = sys.argv[1:]
reader = GGUFReader(source)
weights = {t.name: dequantize(t.data, t.tensor_type).astype(np.float32) for t in reader.tensors}


def field(name):
    return reader.get_field("llama." + name).contents()


num_layers, hidden_size = field("block_count"), field("embedding_length")
num_heads, num_kv_heads = field("attention.head_count"), field("attention.head_count_kv")
theta, epsilon = field("rope.freq_base"), field("attention.layer_norm_rms_epsilon")
head_dim = hidden_size // num_heads
nodes, initializers = [], []


def const(name, values):
    initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
    return name


def op(kind, inputs, outputs, domain="", **attributes):
    name = f"{kind}_{len(nodes)}"
    nodes.append(helper.make_node(kind, inputs, outputs, name=name, domain=domain, **attributes))
    return outputs[0]


def linear(x, weight, name):
    """y = x Wᵀ with W [N, K] in symmetric 4 bits."""
    n, k = weight.shape
    blocks = weight.reshape(n, k // BLOCK, BLOCK)
    scale = np.take_along_axis(blocks, np.abs(blocks).argmax(-1, keepdims=True), -1) / -8.0
    codes = np.divide(blocks, scale, out=np.zeros_like(blocks), where=scale != 0)
    codes = np.clip(np.rint(codes) + 8, 0, 15).astype(np.uint8)
    packed = const(name + ".q", codes[..., 0::2] | (codes[..., 1::2] << 4))
    scales = const(name + ".s", scale.reshape(n, k // BLOCK).astype(np.float32))
    return op("MatMulNBits", [x, packed, scales], [name], MICROSOFT, K=k, N=n, bits=4, block_size=BLOCK)


def unpermute(weight, heads):
    """GGUF pairs neighbouring rows for its rotary embedding; ONNX rotates halves."""
    return weight.reshape(heads, head_dim // 2, 2, -1).swapaxes(1, 2).reshape(weight.shape)


def skip_norm(x, skip, weight, normed, total):
    inputs = [x, skip, const(normed + ".w", weight)]
    return op("SkipSimplifiedLayerNormalization", inputs, [normed, "", "", total], MICROSOFT, epsilon=epsilon)


# 1. Lengths and the rotary tables.
frequency = theta ** (-np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
angle = np.outer(np.arange(MAX_LENGTH), frequency)
cos, sin = const("cos", np.cos(angle).astype(np.float32)), const("sin", np.sin(angle).astype(np.float32))
one, axis = const("one", np.array(1, np.int64)), const("axis", np.array([1], np.int64))
op("ReduceSum", ["attention_mask", axis], ["length"], keepdims=0)
op("Sub", ["length", one], ["last"])
op("Cast", ["last"], ["seqlens_k"], to=TensorProto.INT32)
op("Shape", ["input_ids"], ["shape"])
op("Gather", ["shape", one], ["sequence"], axis=0)
op("Cast", ["sequence"], ["total_length"], to=TensorProto.INT32)

# 2. The layers; each norm is fused with the addition before it.
x = op("Gather", [const("embed", weights["token_embd.weight"]), "input_ids"], ["h0"])
norm = [x, const("norm0.w", weights["blk.0.attn_norm.weight"])]
normed = op("SimplifiedLayerNormalization", norm, ["norm0"], axis=-1, epsilon=epsilon, stash_type=1)
for i in range(num_layers):
    layer, last = f"layer{i}.", i == num_layers - 1

    def weight(name):
        return weights[f"blk.{i}.{name}.weight"]

    q, k = unpermute(weight("attn_q"), num_heads), unpermute(weight("attn_k"), num_kv_heads)
    qkv = linear(normed, np.concatenate([q, k, weight("attn_v")]), layer + "qkv")
    attended = op(
        "GroupQueryAttention",
        [qkv, "", "", "", "", "seqlens_k", "total_length", cos, sin],
        [layer + "attention", layer + "present_k", layer + "present_v"],
        MICROSOFT,
        num_heads=num_heads,
        kv_num_heads=num_kv_heads,
        do_rotary=1,
        scale=float(head_dim**-0.5),
    )
    projected = linear(attended, weight("attn_output"), layer + "o")
    normed = skip_norm(x, projected, weight("ffn_norm"), layer + "ffn_norm", layer + "middle")
    gate, up = linear(normed, weight("ffn_gate"), layer + "gate"), linear(normed, weight("ffn_up"), layer + "up")
    op("Sigmoid", [gate], [layer + "sigmoid"])
    op("Mul", [gate, layer + "sigmoid"], [layer + "silu"])
    op("Mul", [layer + "silu", up], [layer + "hidden"])
    down = linear(layer + "hidden", weight("ffn_down"), layer + "down")
    following = weights["output_norm.weight" if last else f"blk.{i + 1}.attn_norm.weight"]
    x = f"h{i + 1}"
    normed = skip_norm(layer + "middle", down, following, "last_hidden_state" if last else f"norm{i + 1}", x)

# 3. The file.
inputs = [
    helper.make_tensor_value_info(name, TensorProto.INT64, ["B", "S"]) for name in ("input_ids", "attention_mask")
]
outputs = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["B", "S", hidden_size])]
graph = helper.make_graph(nodes, "encoder", inputs, outputs, initializers)
opsets = [helper.make_opsetid("", 18), helper.make_opsetid(MICROSOFT, 1)]
onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), destination)
