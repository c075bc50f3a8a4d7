//! `gran-ted correlate`: how well scores on TED-6K predict downstream scores.

use crate::cli::output::{STDOUT, chance, print, to_json};
use crate::cli::read::read;
use gran_ted::error::{Result, shown};
use gran_ted::ted::{Correlation, correlate as correlations};
use std::path::Path;
use std::process::ExitCode;

pub fn correlate(file: &Path, as_json: bool) -> Result<ExitCode> {
    let tasks = correlations(&file.display().to_string(), &read(file)?)?;
    if as_json {
        print(&to_json(Path::new(STDOUT), &tasks)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    for task in &tasks {
        print(&format!("{}: {} pairs\n", shown(&task.task), task.pairs.len()))?;
        for (name, Correlation { r, p, interval: [low, high], .. }) in
            [("Pearson", &task.pearson), ("Spearman", &task.spearman)]
        {
            print(&format!("  {name:<10} {r:>7.4}  [{low:.4}, {high:.4}]  p {}\n", chance(*p)))?;
        }
        for name in &task.skipped {
            print(&format!("  left out: {} (no TED-6K score)\n", shown(name)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
