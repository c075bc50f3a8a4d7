//! From texts to the inputs of the network: token ids, packed batches, rows of the token table.

pub mod batch;
pub(crate) mod token_table;
pub mod tokenizer;
