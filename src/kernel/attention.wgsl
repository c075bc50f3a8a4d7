// Grouped-query attention, each query over a range of keys of its own:
//   y[t, h] = sum_{spans[t, 0] <= j < spans[t, 1]} softmax_j(q[t, h] . k[j, g] / sqrt(head_dim)) v[j, g],   g = h / (H / KV)
// q, y [Q, H * head_dim]; k, v [T, KV * head_dim], read as vec4; spans [Q, 2]; info = Q, H, KV.
// One invocation a (query, head), lanes along queries of one head, so that they share the keys they read. Keys come
// in blocks of {{ block }}, counted from the range's start (a text's sums don't depend on its neighbours in the
// batch); the softmax is the online one, rescaled once a block. The {{ quads }} vec4 of the output are registers;
// the query is read again for each block, from the cache, which keeps them below 255 for head_dim 128.
@group(0) @binding(0) var<storage, read_write> q: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> k: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> spans: array<u32>;
@group(0) @binding(4) var<storage, read_write> info: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;

const LOWEST: f32 = -3.4e38;

@compute @workgroup_size({{ workgroup_x }}, {{ workgroup_y }}, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let token = id.x;
    let head = id.y;
    if (token >= info[0]) { return; }
    let heads = info[1];
    let kv_heads = info[2];
    let group = head / (heads / kv_heads);
    let query = (token * heads + head) * {{ quads }}u;

    var largest = LOWEST;
    var total = 0.0;
    {{ declare }}
    let last = spans[2u * token + 1u] - 1u;
    for (var first = spans[2u * token]; first <= last; first += {{ block }}u) {
        {{ rows }}
        {{ scores }}
        for (var d = 0u; d < {{ quads }}u; d++) {
            let x = q[query + d];
            {{ dots }}
        }
        {{ mask }}
        let next = {{ block_maximum }};
        let keep = exp(largest - next);
        {{ weights }}
        total = total * keep + {{ block_sum }};
        largest = next;
        {{ accumulate }}
    }
    let scale = 1.0 / total;
    {{ store }}
}
