// Grouped-query attention, each query over its own range of keys:
//   y[t, h] = sum_{spans[t, 0] <= j < spans[t, 1]} softmax_j(score(q[t, h] . k[j, g])) v[j, g],   g = h / (H / KV)
// score multiplies by a scale; it may cap the product by tanh, and may add bias[j - t + reach, h], a row for each distance.
// q is the first H * head_dim columns of q [Q, ...]; k is those after them in the same tensor, or the first KV *
// head_dim columns of k [T, ...]; v is the last KV * head_dim columns of v [T, ...]; y [Q, H * head_dim]; all are read
// as vec4; spans [Q, 2]
// Info: Q, H, KV; q_row, k_row and v_row, the vec4 per row of each; first_k and first_v, the first vec4 of k and of v
// in a row; reach, the largest distance that has a row of its own.
// One invocation per (query, {{ heads }} heads that share their keys); lanes lie along queries, so that they share the
// keys that they read. Keys come in blocks of {{ block }}, counted from the range's start: a text's sums don't depend
// on its neighbors in the batch. The softmax is the online one, rescaled once per block. The {{ quads }} vec4 of a
// head's output are registers; the query is read again for each block, from the cache, which keeps registers below 255
// for head_dim 128 and one head.
@group(0) @binding(0) var<storage, {{ read }}> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, {{ read }}> v: array<vec4<f32>>;
@group(0) @binding(2) var<storage, {{ read }}> spans: array<u32>;
{{ declare_further }}
@group(0) @binding({{ output }}) var<storage, read_write> y: array<vec4<f32>>;
{{ info }}

const LOWEST: f32 = -3.4e38;

fn score(product: f32, key: u32, query: u32, h: u32) -> f32 {
    return {{ score }};
}

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let token = id.x;
    let head = id.y * {{ heads }}u;
    if (token >= info.Q) { return; }
    let heads = info.H;
    let group = head / (heads / info.KV);
    let query = token * info.q_row + head * {{ quads }}u;
    let first_k = info.first_k + group * {{ quads }}u;
    let first_v = info.first_v + group * {{ quads }}u;

    {{ declare }}
    let last = spans[2u * token + 1u] - 1u;
    for (var first = spans[2u * token]; first <= last; first += {{ block }}u) {
        {{ rows }}
        {{ scores }}
        for (var d = 0u; d < {{ quads }}u; d += {{ step }}u) {
            {{ dots }}
        }
        {{ softmax }}
        {{ accumulate }}
    }
    let output = (token * heads + head) * {{ quads }}u;
    {{ store }}
}
