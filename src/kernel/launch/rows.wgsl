// The head of every kernel that sums over rows.
{{ info }}
struct Invocation {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
}

{{ shared }}

// The row of an invocation; workgroups are folded into two dimensions. Surplus rows repeat the last one: a barrier
// needs all invocations, so none may leave early.
fn row(at: Invocation) -> u32 {
    return min((at.group.y * at.groups.x + at.group.x) * {{ rows }}u + at.local / {{ lanes }}u, info.T - 1u);
}

