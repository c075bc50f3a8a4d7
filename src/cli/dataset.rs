//! From a path and a definition to the items of the benchmark.

use gran_ted::error::Result;
use gran_ted::loader::Header;
use gran_ted::ted::{Dataset, Subset, check_encodable};
use std::path::Path;
use std::sync::Arc;

/// The data set, and a subset that takes something of it.
pub fn open_dataset(ted: &Path, subset: &str) -> Result<(Arc<Dataset>, Subset)> {
    let file = ted.display().to_string();
    let subset = Subset::parse(subset)?;
    let bytes = super::read::read(ted)?;
    let dataset = Arc::new(Dataset::parse(&file, &bytes)?);
    subset.select(&dataset)?;
    Ok((dataset, subset))
}

/// Refuses a model that can encode none of the subset's items, before its weights are read.
pub fn check(dataset: &Dataset, subset: &Subset, header: &Header) -> Result<()> {
    check_encodable(dataset, subset, |texts| header.tokenize(texts).map(drop))
}
