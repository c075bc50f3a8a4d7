//! Temporary.
use crate::support::load::load;
use crate::support::models::header_of;
use crate::support::oracle::difference;
use gran_ted::device::Device;
use gran_ted::format::{Memory, safetensors::Safetensors};
use pollster::block_on;
use std::path::Path;

fn floats(bytes: &[u8], file: &Safetensors, name: &str) -> Vec<f32> {
    let t = file.tensors.iter().find(|t| t.name == name).expect(name);
    bytes[t.range.start as usize..t.range.end as usize]
        .as_chunks()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect()
}
fn ids(bytes: &[u8], name: &str) -> Vec<u32> {
    let n = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let h: serde_json::Value = serde_json::from_slice(&bytes[8..8 + n]).unwrap();
    let o = |i: usize| 8 + n + h[name]["data_offsets"][i].as_u64().unwrap() as usize;
    bytes[o(0)..o(1)].as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as u32).collect()
}
#[test]
fn zz_all() {
    for (folder, config) in [("formats", true), ("gguf-types", false)] {
        let dir = Path::new("/work/shared/oracles").join(folder);
        let bytes = std::fs::read(dir.join("expected.safetensors")).unwrap();
        let file = block_on(Safetensors::read(&Memory::new("e", bytes.clone()))).unwrap();
        let (i, mask) = (ids(&bytes, "input_ids"), ids(&bytes, "attention_mask"));
        let t = if config { 12 } else { 14 };
        let d = if config { 64 } else { 256 };
        let texts: Vec<Vec<u32>> = i
            .chunks(t)
            .zip(mask.chunks(t))
            .map(|(i, m)| i.iter().zip(m).filter(|(_, m)| **m == 1).map(|(i, _)| *i).collect())
            .collect();
        let refs: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let mut names: Vec<_> = std::fs::read_dir(&dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|n| {
                !n.starts_with("expected")
                    && !n.starts_with("tables")
                    && !n.starts_with("blocks")
                    && !n.starts_with("bad")
                    && (n.ends_with(".gguf") || n.ends_with(".safetensors"))
            })
            .collect();
        names.sort();
        for name in names {
            let stem = name.rsplit_once('.').unwrap().0.to_string();
            for device in [Device::cpu(), crate::support::device::gpu()] {
                let mut paths = vec![dir.join(&name)];
                if config {
                    paths.push(dir.join("config.json"));
                }
                let encoder = load(header_of(&paths), device);
                let states = block_on(encoder.hidden_states(&refs)).unwrap();
                let apart: Vec<String> = states
                    .iter()
                    .enumerate()
                    .map(|(l, s)| {
                        let all = floats(&bytes, &file, &format!("{stem}.hidden_states.{l}"));
                        let want: Vec<f32> = all
                            .chunks(t * d)
                            .zip(&texts)
                            .flat_map(|(r, x)| r[..x.len() * d].to_vec())
                            .collect();
                        format!("{:.1e}", difference(s, &want))
                    })
                    .collect();
                println!("ZZ {folder}/{stem} {} {apart:?}", &encoder.device().adapter[..3]);
            }
        }
        if config {
            let open = |p: std::path::PathBuf| {
                std::rc::Rc::new(gran_ted::format::DiskFile::open(&p).unwrap())
                    as std::rc::Rc<dyn gran_ted::format::Source>
            };
            let e = block_on(gran_ted::loader::Header::read(vec![
                open(dir.join("bad_scale_missing.safetensors")),
                open(dir.join("config.json")),
            ]))
            .err()
            .unwrap();
            println!("ZZ bad: {e}");
        }
    }
}
