//! From texts to what the network takes: token ids, packed batches, rows of the token table.

pub mod batch;
pub mod token_table;
pub mod tokenizer;
