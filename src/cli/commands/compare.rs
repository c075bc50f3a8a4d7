//! `gran-ted compare`: two reports, item by item.

use crate::cli::output::{STDOUT, chance, percent, print, to_json};
use crate::cli::read::read;
use gran_ted::error::{Error, Result, shown};
use gran_ted::ted::{Comparison, ComparisonGroup, Group, Report, Winner};
use std::path::Path;
use std::process::ExitCode;

pub fn compare(first: &Path, second: &Path, as_json: bool) -> Result<ExitCode> {
    let [first_file, second_file] = [first, second].map(|path| path.display().to_string());
    let reports =
        [Report::import(&first_file, &read(first)?)?, Report::import(&second_file, &read(second)?)?];
    let comparison = Comparison::new(&reports[0], &reports[1]).map_err(|error| match error {
        Error::NoSharedItems { reason, .. } => {
            Error::NoSharedItems { first: first_file.clone(), second: second_file.clone(), reason }
        }
        error => error,
    })?;
    if as_json {
        print(&to_json(Path::new(STDOUT), &comparison)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let [first, second] = [shown(&first_file), shown(&second_file)];
    print(&format!("first   {first}\nsecond  {second}\n\n{}", table(&comparison)))?;
    Ok(ExitCode::SUCCESS)
}

fn table(comparison: &Comparison) -> String {
    let Comparison { note, shared, only_first, only_second, differing, groups, changed } = comparison;
    let mut text = note.as_ref().map_or_else(String::new, |note| shown(note) + "\n");
    text += &format!(
        "{shared} items in both, {only_first} in the first only, {only_second} in the second only\n"
    );
    if *differing > 0 {
        text += &format!("{differing} of them left out, as their statements differ\n");
    }
    text += &format!("\n{:<22} {:<26}{:<26}{:>5}  right in one only\n", "", "   first", "   second", "items");
    text += &format!("{:<79} {:>7} {:>7} {:>8}\n", "", "first", "second", "p");
    for (i, group) in groups.iter().enumerate() {
        if i > 0 && groups[i - 1].group != group.group {
            text += "\n";
        }
        text += &row(group);
    }
    text += &format!("\n{} items that one of them alone gets right\n", changed.len());
    for item in changed {
        let winner = match item.winner {
            Winner::First => "first",
            Winner::Second => "second",
        };
        text += &format!("{winner:<7} {:<20} {}\n", item.question_type, shown(&item.caption_key));
    }
    text
}

fn row(of: &ComparisonGroup) -> String {
    let name = if of.group == Group::All { "all" } else { &of.name };
    let (first, second) = (percent(&of.first), percent(&of.second));
    let ComparisonGroup { total, first_only, second_only, p, .. } = of;
    format!("{name:<22} {first}  {second}  {total:>5} {first_only:>7} {second_only:>7} {:>8}\n", chance(*p))
}
