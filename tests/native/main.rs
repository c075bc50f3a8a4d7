//! The native tests, a module for each subject, in one program: Burn is linked once, and the device is opened once.
//!
//! bench.rs and memory.rs are programs of their own: they measure what other tests in their process would change.

#![allow(clippy::unwrap_used, reason = "a fault ends the test")]

mod adapter;
mod arrows;
mod cli;
mod cli_files;
mod cli_results;
mod encoder;
mod examples;
mod format;
mod generate;
mod kernel;
mod keys;
mod loader;
mod parity;
mod qwen2;
mod statistics;
mod support;
mod ted;
mod token_ids;
mod tokenizer;
mod tokens_of_models;
mod torch;
mod types;
mod weight_records;
mod weight_types;
mod weights;
