//! The native frontend. An error is one line on standard error and exit status 1.

mod args;
mod cache;
mod commands;
mod dataset;
mod files;
mod interrupt;
mod load;
mod output;
mod quiet;
mod read;
mod written;

use args::{Cli, Command};
use clap::Parser;
use commands::{bench, compare, correlate, embed, evaluate, inspect, layers, states};
use std::process::ExitCode;

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Inspect { model, json, quantize } => inspect::inspect(&model, json, &quantize),
        Command::Embed { model, texts, json, options } => embed::embed(&model, &texts, json, &options),
        Command::States { model, texts, ids, out, load } => states::states(&model, &texts, &ids, &out, &load),
        Command::Evaluate { model, ted, subset, out, cache, options } => {
            evaluate::evaluate(&model, &ted, &subset, &out, &cache, &options)
        }
        Command::Layers { model, ted, subset, pooling, layer_weights, load, out } => {
            let study = layers::LayersOptions { subset, pooling, layer_weights, load, out };
            layers::layers(&model, &ted, &study)
        }
        Command::Bench { model, tokens, seconds, json, load } => {
            bench::bench(&model, &tokens, seconds, json, &load)
        }
        Command::Compare { first, second, json } => compare::compare(&first, &second, json),
        Command::Correlate { file, json } => correlate::correlate(&file, json),
    };
    done.unwrap_or_else(|error| {
        output::tell(&format!("error: {error}"));
        ExitCode::FAILURE
    })
}
