//! `pcapae reduce map`: codes or fragments to a chart.

use std::process::ExitCode;

use pcapae::Error;
use pcapae::detectors::SampleFile;
use pcapae::reduce::{Map, MapConfig, MapMethod};
use pcapae::report::map_chart;

use super::super::input::{counted, output};
use super::refuse_same_place;
use crate::args::{MapArgs, MapMethodArg};
use crate::progress::Console;

/// scikit-learn's defaults for t-SNE.
const PERPLEXITY: f64 = 30.0;
const ITERATIONS: usize = 1000;

/// Maps, then writes chart and table.
pub fn run(args: &MapArgs, console: &Console) -> anyhow::Result<ExitCode> {
    args.threads.apply()?;
    let config = MapConfig { method: method(args)?, max_samples: args.sample.get(), random_state: args.seed };
    let input = SampleFile::open(&args.input)?;
    let chart = output(&args.output, args.force, [&args.input])?;
    let table = args.csv.as_deref().map(|place| output(place, args.force, [&args.input])).transpose()?;
    refuse_same_place("--csv", &args.output, args.csv.as_ref())?;
    let map = Map::of(&input, &config, console)?;
    let name = match config.method {
        MapMethod::Pca => "principal components",
        MapMethod::TSne { .. } => "t-SNE",
    };
    let drawn = match map.points.len() as u64 {
        drawn if drawn < map.rows => format!("{drawn} of {}", counted(map.rows, "row")),
        all => counted(all, "row"),
    };
    let file = args.input.file_name().unwrap_or_default().to_string_lossy();
    let png = map_chart(&map, &format!("{file}: {name} of {drawn}"))?.png();
    chart.write(&png.map_err(Error::io("write", &args.output))?)?;
    if let Some(table) = table {
        table.write(&map.csv()?)?;
    }
    console.clear();
    console.say(format_args!("{}: {name} of {drawn}", args.output.display()));
    Ok(ExitCode::SUCCESS)
}

/// Refuses options of t-SNE where that is not what is wanted.
fn method(args: &MapArgs) -> pcapae::Result<MapMethod> {
    let given = [("--perplexity", args.perplexity.is_some()), ("--max-iter", args.max_iter.is_some())];
    match (args.method, given.iter().find(|(_, given)| *given)) {
        (MapMethodArg::Pca, Some((setting, _))) => Err(Error::Setting {
            setting,
            got: "is given".into(),
            expected: "none, since only tsne has it".into(),
            remedy: None,
        }),
        (MapMethodArg::Pca, None) => Ok(MapMethod::Pca),
        (MapMethodArg::Tsne, _) => Ok(MapMethod::TSne {
            perplexity: args.perplexity.unwrap_or(PERPLEXITY),
            max_iter: args.max_iter.map_or(ITERATIONS, |iterations| iterations.get()),
        }),
    }
}
