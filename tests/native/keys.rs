//! Every key of the table of `loader::KEYS`, set otherwise on a tiny model of each family: the vectors are those of an
//! independent forward, or the load is refused by the key's name. And what a file may say in several places or leave out.

use crate::support::load::load;
use crate::support::model::GgufWriter;
use crate::support::models::memory;
use crate::support::network::{
    self, DIM, Forward, IDS, Scaled, Tensors, config, gguf, metadata, safetensors,
};
use gran_ted::device::Device;
use gran_ted::encoder::Settings;
use gran_ted::error::Result;
use gran_ted::loader::{Header, KEYS, Key, Place, Reading};
use gran_ted::model::{Family, Feature, Pooling};
use pollster::block_on;
use serde_json::{Value, json};

const FAMILIES: [Family; 4] = [Family::Llama, Family::Qwen2, Family::Qwen3, Family::Qwen3Vl];

/// What has to come of a key's value.
enum Outcome {
    /// The vector of this forward.
    Vector(Forward),
    /// An error that names this.
    Refused(String),
}
use Outcome::{Refused, Vector};

fn same() -> Outcome {
    Vector(Forward::default())
}

fn theta(theta: f64) -> Outcome {
    Vector(Forward { theta, ..Forward::default() })
}

fn factor(factor: f64) -> Outcome {
    Vector(Forward { factor, ..Forward::default() })
}

fn windows(windows: [Option<usize>; 2]) -> Outcome {
    Vector(Forward { windows, ..Forward::default() })
}

fn header(files: &[(&str, Vec<u8>)]) -> Result<Header> {
    block_on(Header::read(memory(files)))
}

fn checkpoint(config: &Value, all: &Tensors) -> Result<Header> {
    header(&[("config.json", config.to_string().into()), ("model.safetensors", safetensors(all, "model."))])
}

/// Compares what the library makes of a model with what has to come of it.
fn check(what: &str, all: &Tensors, header: Result<Header>, outcome: Outcome) {
    match (header, outcome) {
        (Ok(header), Vector(how)) => {
            let ids = &IDS[..IDS.len().min(header.info.max_length)];
            assert_eq!(ids.len(), how.tokens, "{what}: the limit of a text");
            let encoder = load(header, Device::cpu());
            let settings = Settings::new(Feature::Last, Pooling::Mean);
            let found = block_on(encoder.embed_ids(&[ids], &settings)).unwrap().remove(0);
            let right = network::vector(all, &how);
            let apart = found.iter().zip(&right).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            assert!(apart < 2e-5, "{what}: {apart} from the plain forward");
        }
        (Err(error), Refused(name)) => {
            assert!(error.to_string().contains(&name), "{what}: `{name}` is not named: {error}");
        }
        (Ok(_), Refused(name)) => panic!("{what}: taken, expected a refusal that names {name}"),
        (Err(error), Vector(_)) => panic!("{what}: {error}"),
    }
}

/// config.json of a model; Qwen3-VL's has a text part.
fn whole(family: Family, text: Value) -> Value {
    match family {
        Family::Qwen3Vl => json!({"model_type": "qwen3_vl", "text_config": text}),
        _ => text,
    }
}

/// Writes `value` under `key` of the text part, and gives the whole.
fn with(family: Family, changes: &[(&str, Value)]) -> Value {
    let mut text = config(if family == Family::Qwen3Vl { "qwen3_vl_text" } else { family.name() });
    for (key, value) in changes {
        text[key] = value.clone();
    }
    whole(family, text)
}

/// A value that changes nothing of a key that is refused otherwise.
fn neutral(key: &Key, unless: &str) -> Value {
    match (unless, key.name) {
        (unless, _) if unless.starts_with("silu") => json!("swish"),
        (unless, _) if unless.starts_with("true for qwen3") => Value::Null,
        (unless, _) if unless.contains("sqrt") => json!(0.25),
        (_, "attention.value_length" | "rope.dimension_count" | "query_pre_attn_scalar") => json!(DIM),
        (_, "attention.sliding_window") => json!(4096),
        (unless, _) if unless.starts_with('1') => json!(1.0),
        ("true", _) => json!(true),
        ("0", _) => json!(0),
        ("false", _) => json!(false),
        _ => Value::Null,
    }
}

/// A value of a refused key that changes the reference's vectors, or could.
fn flipped(key: &Key, unless: &str) -> Value {
    match unless {
        unless if unless.starts_with("silu") => json!("relu2"),
        unless if unless.contains("weights that are stored") => json!({"quant_method": "fp8"}),
        "false" => json!(true),
        "true" => json!(false),
        _ if key.name == "per_layer_config" => json!({"1": {"num_attention_heads": 1}}),
        _ if key.name == "text_config" => config("llama"),
        unless if unless.starts_with("true for qwen3") => json!("no"),
        "0" => json!(2),
        _ if key.name == "no_rope_layers" => json!([0, 1]),
        _ if key.name == "attention.value_length" || key.name == "rope.dimension_count" => json!(8),
        _ if key.name == "attention.sliding_window" => json!(8),
        _ => json!(0.37),
    }
}

/// Configurations in which an applied key of config.json has another value, with what comes of each.
fn applied(key: &str, family: Family) -> Vec<(Value, Outcome)> {
    let one = |value: Value, outcome| vec![(with(family, &[(key, value)]), outcome)];
    let window = |more: &[(&str, Value)]| {
        let window = [("use_sliding_window", json!(true)), ("sliding_window", json!(8))];
        with(family, &[&window[..], more].concat())
    };
    match key {
        "model_type" => one(json!("gemma"), Refused("gemma".into())),
        "text_config" | "llm_config" | "encoder" => {
            let mut whole = config("qwen3_vl");
            whole[key] = json!(1);
            vec![(whole, Refused(key.into()))]
        }
        "hidden_act" => vec![
            (with(family, &[(key, json!("swish"))]), same()),
            (with(family, &[(key, json!("gelu_pytorch_tanh"))]), {
                Vector(Forward { activation: network::gelu_tanh, ..Forward::default() })
            }),
            (with(family, &[(key, json!("relu2"))]), Refused(key.into())),
        ],
        "hidden_size" | "intermediate_size" | "head_dim" => one(json!(96), Refused("has shape".into())),
        "vocab_size" => one(json!(299), Refused("has shape".into())),
        "num_hidden_layers" => {
            let more = (with(family, &[(key, json!(3))]), Refused("layers.2.".into()));
            vec![more, (with(family, &[(key, json!(1))]), Refused("layers.1.".into()))]
        }
        "num_attention_heads" => one(json!(4), Refused("has shape".into())),
        "num_key_value_heads" => one(json!(2), Refused("has shape".into())),
        "rms_norm_eps" => one(json!(0.1), Vector(Forward { eps: 0.1, ..Forward::default() })),
        "max_position_embeddings" => one(json!(8), Vector(Forward { tokens: 8, ..Forward::default() })),
        "rope_theta" => one(json!(5e5), theta(5e5)),
        "rope_parameters" => one(json!({"rope_type": "default", "rope_theta": 1e6}), theta(1e6)),
        "rope_scaling" => one(json!({"type": "linear", "factor": 4}), factor(4.0)),
        "is_causal" => {
            let window = (window(&[(key, json!(false)), ("max_window_layers", json!(1))]), {
                let windowed = !matches!(family, Family::Llama | Family::Qwen3Vl);
                let windows = [None, windowed.then_some(8)];
                Vector(Forward { causal: false, windows, ..Forward::default() })
            });
            let mut all = one(json!(false), Vector(Forward { causal: false, ..Forward::default() }));
            all.extend(one(json!(true), same()));
            all.push(window);
            all
        }
        "use_sliding_window" | "sliding_window" => vec![
            (window(&[("max_window_layers", json!(0))]), windows([Some(8); 2])),
            (with(family, &[("sliding_window", json!(8)), ("max_window_layers", json!(0))]), same()),
            (window(&[("sliding_window", json!(4096)), ("max_window_layers", json!(0))]), same()),
            (window(&[("sliding_window", json!(null)), ("max_window_layers", json!(0))]), same()),
            (window(&[("sliding_window", json!(0))]), Refused("sliding_window".into())),
        ],
        "max_window_layers" => vec![
            (window(&[(key, json!(1))]), windows([None, Some(8)])),
            (window(&[(key, json!(2))]), same()),
            (window(&[]), same()), // the class's own is 28
        ],
        "layer_types" => vec![
            (window(&[(key, json!(["sliding_attention", "full_attention"]))]), windows([Some(8), None])),
            (with(family, &[(key, json!(["full_attention", "full_attention"]))]), same()),
            (with(family, &[(key, json!(["sliding_attention", "full_attention"]))]), Refused(key.into())),
            (window(&[(key, json!(["chunked_attention", "full_attention"]))]), Refused(key.into())),
            (window(&[(key, json!(["full_attention"]))]), Refused(key.into())),
        ],
        "attention_bias" => one(json!(true), Refused("q_proj.bias".into())),
        "mlp_bias" => one(json!(true), Refused("gate_proj.bias".into())),
        "tie_word_embeddings" => one(json!(true), same()),
        "transformers_weights" => vec![
            (with(family, &[(key, json!("model.safetensors"))]), same()),
            // The class reads the top of the file alone.
            (
                with(family, &[(key, json!("other.safetensors"))]),
                match family {
                    Family::Qwen3Vl => same(),
                    _ => Refused(key.into()),
                },
            ),
        ],
        _ => panic!("{key} is applied, and no test sets it otherwise"),
    }
}

/// The same for the parameters of the rotation.
fn rope(key: &str, family: Family) -> Vec<(Value, Outcome)> {
    let parameters = |value: Value, outcome| (with(family, &[("rope_scaling", value)]), outcome);
    match key {
        "rope_type" | "type" => ["dynamic", "longrope", "ntk"]
            .map(|kind| parameters(json!({key: kind, "factor": 4.0}), Refused(key.into())))
            .into_iter()
            .chain([
                parameters(json!({key: "linear", "factor": 4.0}), factor(4.0)),
                parameters(json!({key: "default", "factor": 4.0}), same()),
                parameters(json!({"rope_type": null, "type": "ntk"}), Refused("rope_type".into())),
                parameters(json!({key: "llama3", "factor": 4.0}), Refused("low_freq_factor".into())),
                parameters(json!({"rope_type": "linear", "type": "default", "factor": 2.0}), factor(2.0)),
                parameters(json!({key: 4}), Refused(key.into())),
            ])
            .collect(),
        "rope_theta" => vec![
            parameters(json!({"rope_theta": 1e6}), theta(1e6)),
            parameters(json!({"rope_theta": "1e6"}), Refused(key.into())),
            parameters(json!({"rope_theta": null}), Refused(key.into())),
        ],
        "factor" => vec![
            parameters(json!({"type": "linear", "factor": 1}), same()),
            parameters(json!({"type": "linear", "factor": 0.5}), factor(0.5)),
            parameters(json!({"type": "linear", "factor": 0}), Refused(key.into())),
            parameters(json!({"type": "linear", "factor": "4"}), Refused(key.into())),
            parameters(json!({"type": "linear"}), Refused(key.into())),
        ],
        "low_freq_factor" | "high_freq_factor" => {
            let llama3 = |low: f64, high: f64| {
                let kept = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": low,
                    "high_freq_factor": high, "original_max_position_embeddings": 64});
                let scaled = Scaled::Llama3 { factor: 8.0, low, high, original: 64.0 };
                parameters(kept, Vector(Forward { scaled: Some(scaled), ..Forward::default() }))
            };
            let equal = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 4.0});
            vec![llama3(1.0, 4.0), llama3(0.5, 9.0), parameters(equal, Refused("high_freq_factor".into()))]
        }
        "original_max_position_embeddings"
        | "beta_fast"
        | "beta_slow"
        | "attention_factor"
        | "mscale"
        | "mscale_all_dim"
        | "truncate" => {
            let yarn = |change: Value, change_of: fn(&mut [f64; 4], &mut bool)| {
                // original, fast, slow, amplitude
                let (mut numbers, mut whole) = ([32.0, 32.0, 1.0, 0.1 * 4f64.ln() + 1.0], true);
                change_of(&mut numbers, &mut whole);
                let [original, fast, slow, amplitude] = numbers;
                let mut all =
                    json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32});
                for (key, value) in change.as_object().unwrap() {
                    all[key] = value.clone();
                }
                let scaled = Scaled::Yarn { factor: 4.0, fast, slow, original, amplitude, whole };
                parameters(all, Vector(Forward { scaled: Some(scaled), ..Forward::default() }))
            };
            vec![
                yarn(json!({}), |_, _| {}),
                yarn(json!({"original_max_position_embeddings": 64}), |all, _| all[0] = 64.0),
                yarn(json!({"beta_fast": 4.0}), |all, _| all[1] = 4.0),
                yarn(json!({"beta_slow": 0.2}), |all, _| all[2] = 0.2),
                yarn(json!({"attention_factor": 0.7}), |all, _| all[3] = 0.7),
                yarn(json!({"mscale": 0.707, "mscale_all_dim": 1.3}), |all, _| {
                    all[3] = (0.1 * 0.707 * 4f64.ln() + 1.0) / (0.1 * 1.3 * 4f64.ln() + 1.0);
                }),
                yarn(json!({"beta_fast": 4.0, "truncate": false}), |all, whole| {
                    (all[1], *whole) = (4.0, false);
                }),
            ]
        }
        _ => panic!("{key} is applied, and no test sets it otherwise"),
    }
}

#[test]
fn every_key_of_config_json_is_computed_or_refused() {
    for family in FAMILIES {
        let all = network::tensors(family.name());
        check("as it is", &all, checkpoint(&with(family, &[]), &all), same());
        for key in KEYS.iter().filter(|key| key.families.contains(&family)) {
            let set = |value: Value| match key.place {
                Place::Config => Some(with(family, &[(key.name, value)])),
                Place::Rope => {
                    let linear = json!({"rope_type": "linear", "factor": 4.0, key.name: value});
                    Some(with(family, &[("rope_scaling", linear)]))
                }
                Place::Beside if family == Family::Qwen3Vl => {
                    let mut whole = with(family, &[]);
                    whole[key.name] = value;
                    Some(whole)
                }
                _ => None,
            };
            let plain = || if key.place == Place::Rope { factor(4.0) } else { same() };
            let cases = match (key.reading, key.place) {
                (Reading::Applied, Place::Config) => applied(key.name, family),
                (Reading::Applied, Place::Rope) => rope(key.name, family),
                (Reading::Applied, Place::Beside) if family == Family::Qwen3Vl => match key.name {
                    "model_type" => vec![(set(json!("gemma")).unwrap(), Refused("gemma".into()))],
                    // The first of them that is an object is the part.
                    "text_config" => vec![(set(json!([])).unwrap(), Refused("text_config".into()))],
                    "llm_config" | "encoder" => vec![(set(json!([])).unwrap(), same())],
                    "transformers_weights" => vec![
                        (set(json!("model.safetensors")).unwrap(), same()),
                        (set(json!("other.safetensors")).unwrap(), Refused(key.name.into())),
                    ],
                    _ => vec![(set(json!(true)).unwrap(), same())],
                },
                (Reading::Refused(unless), _) => {
                    let refused = set(flipped(key, unless)).map(|file| (file, Refused(key.name.into())));
                    let taken = set(neutral(key, unless)).map(|file| (file, plain()));
                    refused.into_iter().chain(taken).collect()
                }
                (Reading::NoEffect(_), _) => set(json!(3)).map(|file| (file, plain())).into_iter().collect(),
                _ => Vec::new(),
            };
            for (config, outcome) in cases {
                check(
                    &format!("{} {:?}: {config}", key.name, key.place),
                    &all,
                    checkpoint(&config, &all),
                    outcome,
                );
            }
        }
    }
}

/// A GGUF file of the family in which `key` has the value.
fn file(family: Family, all: &Tensors, key: &str, value: &Value) -> Result<Header> {
    let (name, full) = (family.name(), format!("{}.{key}", family.name()));
    let add = |writer: GgufWriter| match value {
        Value::Null => writer,
        Value::Bool(flag) => writer.raw(&full, 7, &[u8::from(*flag)]),
        Value::String(text) => writer.str(&full, text),
        Value::Number(number) if number.is_u64() => writer.u32(&full, number.as_u64().unwrap() as u32),
        value => writer.f32(&full, value.as_f64().unwrap() as f32),
    };
    header(&[("m.gguf", gguf(add(metadata(name, &[key])), name, all))])
}

#[test]
fn every_key_of_gguf_is_computed_or_refused() {
    for family in FAMILIES {
        let all = network::tensors(family.name());
        let shape = || Refused("has shape".into());
        for key in KEYS.iter().filter(|key| key.place == Place::Gguf && key.families.contains(&family)) {
            let cases = match (key.reading, key.name) {
                // Without YaRN they change nothing; see `yarn_in_gguf_is_that_of_config_json`.
                (_, "rope.scaling.yarn_ext_factor" | "rope.scaling.yarn_attn_factor") => {
                    vec![(json!(0.5), same())]
                }
                (Reading::Refused(unless), _) => {
                    vec![(flipped(key, unless), Refused(key.name.into())), (neutral(key, unless), same())]
                }
                (Reading::NoEffect(_), _) => vec![(json!(3), same())],
                (_, "embedding_length" | "feed_forward_length") => vec![(json!(96), shape())],
                (_, "block_count") => {
                    vec![(json!(1), Refused("blk.1.".into())), (json!(3), Refused("blk.2.".into()))]
                }
                (_, "attention.head_count") => {
                    vec![(json!(4), shape()), (json!("4"), Refused(key.name.into()))]
                }
                (_, "attention.head_count_kv") => vec![(json!(2), shape()), (Value::Null, shape())],
                (_, "attention.key_length") => vec![(json!(32), shape()), (Value::Null, same())],
                (_, "attention.layer_norm_rms_epsilon") => {
                    let eps = Vector(Forward { eps: f64::from(0.1f32), ..Forward::default() });
                    vec![(json!(0.1), eps), (Value::Null, Refused(key.name.into()))]
                }
                (_, "context_length") => {
                    vec![(json!(8), Vector(Forward { tokens: 8, ..Forward::default() }))]
                }
                (_, "rope.freq_base") => vec![(json!(5e5), theta(5e5)), (Value::Null, same())],
                (_, "rope.scaling.type") => {
                    let other = ["longrope", "unheard"];
                    let other = other.map(|kind| (json!(kind), Refused(key.name.into())));
                    other.into_iter().chain(["none", "linear"].map(|kind| (json!(kind), same()))).collect()
                }
                (_, "rope.scaling.factor" | "rope.scale_linear") => {
                    vec![(json!(4.5), factor(4.5)), (json!(1.0), same()), (json!(0.0), same())]
                }
                (_, "rope.scaling.original_context_length" | "rope.scaling.yarn_beta_fast")
                | (_, "rope.scaling.yarn_beta_slow") => yarn_of_gguf(key.name),
                (_, "attention.causal") => {
                    let all = Vector(Forward { causal: false, ..Forward::default() });
                    vec![(json!(false), all), (json!(true), same()), (json!(0), Refused(key.name.into()))]
                }
                (_, other) => panic!("{other} is applied, and no test sets it otherwise"),
            };
            for (value, outcome) in cases {
                check(
                    &format!("{family} {} = {value}", key.name),
                    &all,
                    file(family, &all, key.name, &value),
                    outcome,
                );
            }
        }
    }
}

/// Without a type of scaling, what YaRN reads changes nothing; see `yarn_in_gguf`.
fn yarn_of_gguf(_: &str) -> Vec<(Value, Outcome)> {
    vec![(json!(32), same())]
}

#[test]
fn yarn_in_gguf_is_that_of_config_json() {
    let all = network::tensors("qwen3");
    let of = |changes: &[(&str, f32)]| {
        let writer = metadata("qwen3", &[]).str("qwen3.rope.scaling.type", "yarn");
        let writer = changes
            .iter()
            .fold(writer, |writer, (key, value)| writer.f32(&format!("qwen3.rope.scaling.{key}"), *value));
        header(&[("m.gguf", gguf(writer, "qwen3", &all))])
    };
    let yarn = |original: f64, fast: f64, slow: f64| {
        let amplitude = 0.1 * 4f64.ln() + 1.0;
        let scaled = Scaled::Yarn { factor: 4.0, fast, slow, original, amplitude, whole: true };
        Vector(Forward { scaled: Some(scaled), ..Forward::default() })
    };
    let (factor, original) = (("factor", 4.0), ("original_context_length", 32.0));
    check("yarn", &all, of(&[factor, original]), yarn(32.0, 32.0, 1.0));
    check("fast", &all, of(&[factor, original, ("yarn_beta_fast", 4.0)]), yarn(32.0, 4.0, 1.0));
    check("slow", &all, of(&[factor, original, ("yarn_beta_slow", 0.25)]), yarn(32.0, 32.0, 0.25));
    check("no original", &all, of(&[factor]), Refused("original_context_length".into()));
    for key in ["yarn_ext_factor", "yarn_attn_factor"] {
        check(key, &all, of(&[factor, original, (key, 1.0)]), yarn(32.0, 32.0, 1.0));
        check(key, &all, of(&[factor, original, (key, 0.5)]), Refused(key.into()));
    }
}

// --- what stands in several places, or in none ---

#[test]
fn the_rotation_has_one_order_of_places() {
    let all = network::tensors("qwen3");
    let flat = |changes: &[(&str, Value)]| checkpoint(&with(Family::Qwen3, changes), &all);
    let both = [("rope_theta", json!(1e4)), ("rope_parameters", json!({"rope_theta": 1e6}))];
    check("parameters before the top", &all, flat(&both), theta(1e6));
    let other = json!({"rope_type": "ntk", "factor": 4.0});
    let beside =
        [("rope_parameters", json!({"rope_type": "default", "rope_theta": 1e6})), ("rope_scaling", other)];
    check("scaling before parameters", &all, flat(&beside), Refused("rope_scaling.rope_type".into()));
    let linear = [both[1].clone(), ("rope_scaling", json!({"type": "linear", "factor": 2.0}))];
    let how = Forward { factor: 2.0, ..Forward::default() };
    check("and without their base", &all, flat(&linear), Vector(how));
    assert_eq!(flat(&linear).unwrap().info.not_read, ["rope_parameters"]);
    let nested = json!({"full_attention": {"rope_type": "default", "rope_theta": 1e6}});
    check("by layer", &all, flat(&[("rope_parameters", nested)]), Refused("full_attention".into()));
    check("a text", &all, flat(&[("rope_theta", json!("1000000"))]), Refused("rope_theta".into()));
    for empty in [json!(null), json!({})] {
        check("no scaling", &all, flat(&[("rope_scaling", empty)]), same());
    }
}

#[test]
fn the_defaults_are_those_of_the_family() {
    for (family, base) in
        [(Family::Llama, 1e4), (Family::Qwen2, 1e4), (Family::Qwen3, 1e4), (Family::Qwen3Vl, 5e5)]
    {
        let all = network::tensors(family.name());
        let without = |key: &str| with(family, &[(key, Value::Null)]);
        check("eps", &all, checkpoint(&without("rms_norm_eps"), &all), same());
        let mut text = config(if family == Family::Qwen3Vl { "qwen3_vl_text" } else { family.name() });
        text.as_object_mut().unwrap().remove("rope_theta");
        let header = checkpoint(&whole(family, text), &all);
        let told = header.as_ref().unwrap().info.defaults.clone();
        assert!(told.len() == 1 && told[0].ends_with(&format!("rope_theta = {base}")), "{told:?}");
        check("theta", &all, header, theta(base));
        // Of qwen3 a head has 128 values, of others the width over the heads, and shapes are checked.
        let outcome = match family {
            Family::Llama | Family::Qwen2 => same(),
            _ => Refused("expected [256, 32]".into()),
        };
        check("head_dim", &all, checkpoint(&without("head_dim"), &all), outcome);
        for size in ["hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size"] {
            assert!(checkpoint(&without(size), &all).is_err(), "{size} of a class is that of a large model");
        }
    }
}

#[test]
fn values_of_another_type_are_refused_by_key() {
    let all = network::tensors("qwen3");
    for key in [
        "hidden_size",
        "head_dim",
        "rms_norm_eps",
        "is_causal",
        "use_sliding_window",
        "rope_scaling",
        "hidden_act",
    ] {
        let wrong = with(Family::Qwen3, &[(key, json!(["7"]))]);
        check(key, &all, checkpoint(&wrong, &all), Refused(format!("`{key}`")));
    }
}

#[test]
fn unknown_keys_are_told_and_known_ones_are_not() {
    let all = network::tensors("llama");
    let header =
        checkpoint(&with(Family::Llama, &[("unheard\u{1b}", json!(1)), ("use_cache", json!(true))]), &all);
    assert_eq!(header.unwrap().info.not_read, ["unheard\\u{1b}"]);
    let header = file(Family::Llama, &all, "unheard.of", &json!(1)).unwrap();
    assert_eq!(header.info.not_read, ["llama.unheard.of"]);
}

#[test]
fn gguf_is_read_by_value_and_not_by_width() {
    let all = network::tensors("qwen3");
    let counts = |counts: &[u32]| {
        let values: Vec<u8> = counts.iter().flat_map(|count| count.to_le_bytes()).collect();
        let writer = metadata("qwen3", &["attention.head_count_kv"]);
        let writer = writer.array("qwen3.attention.head_count_kv", 4, counts.len(), &values);
        header(&[("m.gguf", gguf(writer, "qwen3", &all))])
    };
    check("equal counts", &all, counts(&[1, 1]), same());
    check("counts that differ", &all, counts(&[1, 2]), Refused("head_count_kv".into()));
    let latin = [&8u64.to_le_bytes()[..], b"Stra\xdfe 1"].concat();
    let writer = metadata("qwen3", &["block_count"]).raw("general.author", 8, &latin);
    let writer = writer.raw("qwen3.block_count", 0, &[2]);
    check("one byte, and Latin-1", &all, header(&[("m.gguf", gguf(writer, "qwen3", &all))]), same());
}
