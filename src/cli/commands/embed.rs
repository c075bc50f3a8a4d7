//! `gran-ted embed`: texts to vectors and their cosines.

use crate::cli::args::Options;
use crate::cli::load::load;
use crate::cli::output::print;
use gran_ted::error::Result;
use pollster::block_on;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

pub fn embed(model: &Path, texts: &[String], as_json: bool, options: &Options) -> Result<ExitCode> {
    let choice = options.check()?;
    let (encoder, tested) = load(model, &options.load)?;
    let settings = choice.settings(&encoder, tested)?;
    let embeddings = block_on(encoder.embed(texts, &settings))?;
    for (index, _) in embeddings.truncated.iter().enumerate().filter(|(_, truncated)| **truncated) {
        eprintln!("warning: text {} was cut to {} tokens", index + 1, encoder.info.max_length);
    }
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
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let columns: String = (1..=texts.len()).map(|column| format!("{column:>8}")).collect();
    print(&format!("cosine{}\n", &columns[columns.len().min(1)..]));
    for (row, (text, similarities)) in texts.iter().zip(embeddings.similarity()).enumerate() {
        let line: String = similarities.iter().map(|cosine| format!("{cosine:>8.4}")).collect();
        print(&format!("{:>5} {}  {} ({} tokens)\n", row + 1, &line[1..], text, embeddings.tokens[row]));
    }
    Ok(ExitCode::SUCCESS)
}
