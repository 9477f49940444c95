//! `pcapae inspect`: what is in captures, or in two sets of them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pcapae::Error;
use pcapae::atomic_file::AtomicFile;
use pcapae::capture::Captures;
use pcapae::inspect::{Inspection, inspect};
use pcapae::report::{InspectionTable, inspection_figure, inspection_json, inspection_page, inspection_tables};

use super::dense_table::{align_right, dense_table};
use super::input::{output, warn_of};
use crate::args::InspectArgs;
use crate::progress::{Console, print};

/// Reads the captures once, writes what is asked for and prints the tables.
pub fn run(args: &InspectArgs, console: &Console) -> anyhow::Result<ExitCode> {
    // Standard input can be read only once, also where it is on both sides.
    let all: Vec<PathBuf> = args.input.captures.iter().chain(&args.compare).cloned().collect();
    Captures::open(&all)?;
    let first = Captures::open(&args.input.captures)?;
    let second = if args.compare.is_empty() { None } else { Some(Captures::open(&args.compare)?) };
    let folder = args.output.as_deref().map(|folder| Folder::create(folder, args.force, &all)).transpose()?;
    let captures = [Some(first), second].into_iter().flatten();
    let inspections =
        captures.map(|captures| inspect(captures, console)).collect::<pcapae::Result<Vec<Inspection>>>()?;
    console.clear();
    for inspection in &inspections {
        warn_of(&inspection.captures, console);
    }
    let inspections: Vec<&Inspection> = inspections.iter().collect();
    if let Some(folder) = folder {
        folder.write(&inspections)?;
    }
    let printed = match args.json {
        true => inspection_json(&inspections).to_string() + "\n",
        false => inspection_tables(&inspections).iter().map(text).collect::<Vec<_>>().join("\n"),
    };
    print(&printed)?;
    Ok(ExitCode::SUCCESS)
}

fn text(shown: &InspectionTable) -> String {
    let mut table = dense_table(&shown.header);
    for row in &shown.rows {
        table.add_row(row);
    }
    align_right(&mut table, 1..=shown.header.len() - 1);
    let note = shown.note.as_ref().map_or(String::new(), |note| format!("{note}\n"));
    format!("{}\n{table}\n{note}", shown.title)
}

/// The files of the folder, all begun before the captures are read.
struct Folder {
    page: AtomicFile,
    image: AtomicFile,
    json: AtomicFile,
}

impl Folder {
    fn create(folder: &Path, force: bool, inputs: &[PathBuf]) -> pcapae::Result<Folder> {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let begin = |name: &str| output(&folder.join(name), force, inputs);
        Ok(Folder { page: begin("inspection.html")?, image: begin("inspection.png")?, json: begin("inspection.json")? })
    }

    fn write(self, inspections: &[&Inspection]) -> pcapae::Result<()> {
        let image = inspection_figure(inspections)?.png().map_err(Error::unwritable("picture of captures"))?;
        self.page.write(inspection_page(inspections)?.as_bytes())?;
        self.image.write(&image)?;
        self.json.write(format!("{}\n", inspection_json(inspections)).as_bytes())
    }
}
