//! Linear layers that read the same input become one product. A group joins as many of its first matrices as have the
//! same layout, while the result is small enough for one buffer of the device and for the host, where the parts wait for
//! each other.

use crate::loader::open::header::Header;
use crate::loader::planned::Planned;
use std::collections::HashMap;

/// The groups in a layer: the block, and its projections in the order of their outputs.
const GROUPS: [(&str, &[&str]); 2] =
    [("self_attn", &["q_proj", "k_proj", "v_proj"]), ("mlp", &["gate_proj", "up_proj"])];

/// Bytes of the largest weight that is joined on the host, which then holds it twice. A larger one keeps a device busy
/// by itself.
const MOST: u64 = 32 << 20;

impl Header {
    /// The groups of matrices that will be joined: their names, in the order of their outputs.
    pub(in crate::loader) fn joined(&self, max_buffer_bytes: Option<u64>) -> Vec<Vec<String>> {
        let planned: HashMap<_, _> =
            self.on_device().map(|planned| (planned.name.as_str(), planned)).collect();
        let layers = 0..self.config.num_hidden_layers;
        let groups = layers.flat_map(|layer| {
            let name = move |block: &str, part: &&str| format!("layers.{layer}.{block}.{part}.weight");
            GROUPS.map(|(block, parts)| parts.iter().map(|part| name(block, part)).collect::<Vec<_>>())
        });
        // A gate and an up projection in one give their SwiGLU, which has no place for a bias.
        let biases = self.config.biases;
        let gated_biases = biases.gate_proj || biases.up_proj;
        let joined = |mut names: Vec<String>| {
            if gated_biases && names[0].contains("mlp") {
                return None;
            }
            let group: Vec<&Planned> =
                names.iter().filter_map(|name| planned.get(name.as_str()).copied()).collect();
            let fits = |count: &usize| join(&group[..*count], max_buffer_bytes);
            names.truncate((2..=group.len()).rev().find(fits)?);
            Some(names)
        };
        groups.filter_map(joined).collect()
    }

    /// Writes into each matrix the names of the group that it is joined with.
    pub(in crate::loader) fn join(&mut self, max_buffer_bytes: Option<u64>) {
        for names in self.joined(max_buffer_bytes) {
            for planned in self.tensors.iter_mut().filter(|planned| names.contains(&planned.name)) {
                planned.joined = names.clone();
            }
        }
    }

    /// Host memory at the worst moment of a load: the tensor that is read and packed, and the matrices that wait to be
    /// joined with it.
    pub(in crate::loader) fn loading_bytes(&self, joined: &[Vec<String>]) -> u64 {
        let group = |name: &String| joined.iter().find(|names| names.contains(name));
        let (mut waiting, mut most) = (HashMap::<&[String], Vec<&Planned>>::new(), 0);
        for planned in self.on_device() {
            let bytes: u64 = waiting.values().flatten().map(|planned| planned.device_bytes()).sum();
            most = most.max(bytes + planned.loading_bytes());
            let Some(names) = group(&planned.name) else { continue };
            let parts = waiting.entry(names).or_default();
            parts.push(planned);
            if parts.len() < names.len() {
                continue;
            }
            // The parts and the joined weight, whose scales are made twice.
            let [words, scales] = [0, 1].map(|i| parts.iter().map(|part| part.buffers()[i]).sum::<u64>());
            most = most.max(bytes + planned.device_bytes() + words + 2 * scales);
            waiting.remove(names.as_slice());
        }
        most
    }
}

/// Whether all of `parts` may be joined into one.
fn join(parts: &[&Planned], max_buffer_bytes: Option<u64>) -> bool {
    let alike = |part: &&Planned| (part.layout, part.in_features());
    let words: u64 = parts.iter().map(|part| part.buffers()[0]).sum();
    let bytes: u64 = parts.iter().map(|part| part.device_bytes()).sum();
    parts.iter().all(|part| alike(part) == alike(&parts[0]))
        && max_buffer_bytes.is_none_or(|limit| words <= limit)
        && bytes <= MOST
}
