//! `gran-ted embed`: texts to vectors and their cosines.

use crate::cli::args::Options;
use crate::cli::load::{Model, load};
use crate::cli::output::{print, tell};
use crate::cli::read;
use gran_ted::error::{Result, shown};
use pollster::block_on;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

pub fn embed(model: &Path, arguments: &[String], as_json: bool, options: &Options) -> Result<ExitCode> {
    // 1. Everything that can be wrong before the weights are read.
    let choice = options.check()?;
    let texts = read::texts(arguments)?;
    let model = Model::open(model, &options.load)?;
    choice.check(&model.header)?;
    model.header.tokenize(&texts)?;

    // 2. The vectors.
    let (encoder, tested) = load(model, &options.load)?;
    let settings = choice.settings(&encoder, tested)?;
    let embeddings = block_on(encoder.embed(&texts, &settings))?;
    for (index, _) in embeddings.truncated.iter().enumerate().filter(|(_, truncated)| **truncated) {
        tell(&format!("warning: text {} was cut to {} tokens", index + 1, encoder.info.max_length));
    }

    // 3. The output.
    if as_json {
        let texts = texts.iter().enumerate().map(|(i, text)| {
            json!({
                "text": text,
                "tokens": embeddings.tokens[i],
                "truncated": embeddings.truncated[i],
                "vector": embeddings.vectors[i],
            })
        });
        print(&format!(
            "{}\n",
            json!({
                "model": encoder.info.name,
                "feature": settings.feature.to_string(),
                "pooling": settings.pooling.to_string(),
                "arithmetic": encoder.info.arithmetic,
                "device": encoder.device().adapter,
                "texts": texts.collect::<Vec<_>>(),
            })
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    let columns: String = (1..=texts.len()).map(|column| format!("{column:>8}")).collect();
    let mut table = format!("cosine{}\n", &columns[columns.len().min(1)..]);
    for (row, (text, similarities)) in texts.iter().zip(embeddings.similarity()).enumerate() {
        let line: String = similarities.iter().map(|cosine| format!("{cosine:>8.4}")).collect();
        let tokens = embeddings.tokens[row];
        table += &format!("{:>5} {}  {} ({tokens} tokens)\n", row + 1, &line[1..], shown(text));
    }
    print(&table)?;
    Ok(ExitCode::SUCCESS)
}
