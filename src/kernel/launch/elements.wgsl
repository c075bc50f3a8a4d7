// The head of every kernel over elements.
{{ info }}
struct Invocation {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
}

// The number of an invocation; workgroups are folded into two dimensions.
fn element(at: Invocation) -> u32 {
    return (at.group.y * at.groups.x + at.group.x) * {{ workgroup_x }}u + at.lane;
}

