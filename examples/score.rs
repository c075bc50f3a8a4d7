//! The accuracy of a text encoder on a file of TED-6K's shape, with its interval of 95 %, or on a subset of it.
//!
//!     cargo run --release --example score -- MODEL.gguf TED-6k.json 'captions=3'

use gran_ted::device::Device;
use gran_ted::encoder::Settings;
use gran_ted::format::DiskFile;
use gran_ted::loader::{Header, Loading};
use gran_ted::model::{Feature, Pooling};
use gran_ted::ted::{Dataset, Run, Subset};
use pollster::block_on;
use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, ted, subset @ ..] = &arguments[..] else {
        panic!("usage: score MODEL.gguf TED-6k.json [SUBSET]")
    };
    let subset = Subset::parse(subset.first().map_or("all", String::as_str))?;
    let dataset = Arc::new(Dataset::parse(ted, &std::fs::read(ted)?)?);

    let header = block_on(Header::read(vec![Rc::new(DiskFile::open(model.as_ref())?)]))?;
    let mut loading = Loading::new(header, Device::cpu())?;
    while block_on(loading.step())?.is_some() {}
    let encoder = loading.finish()?;

    // A step is a batch: what was scored so far is a report too.
    let mut run = Run::new(&encoder, dataset, &subset, Settings::new(Feature::NormAvg, Pooling::Mean))?;
    while let Some(progress) = block_on(run.step(&encoder))? {
        eprintln!("{} of {} tokens", progress.done, progress.total);
    }
    let statistics = run.report(&encoder).summary.accuracy_statistics;
    let overall = statistics.overall;
    let [low, high] = overall.interval;
    println!("{} of {} items right", overall.correct, overall.total);
    println!("accuracy {:.4} ({low:.4} to {high:.4}), by chance {:.4}", overall.accuracy, overall.chance);
    for (name, accuracy) in &statistics.question_type_accuracy {
        println!("{:.4}  {name}, {} items", accuracy.accuracy, accuracy.total);
    }
    Ok(())
}
