//! `pcapae fit`: a blueprint and normal traffic to a fitted detector.

use std::process::ExitCode;

use pcapae::detectors::{Blueprint, Fitted, SampleFile};
use pcapae::label::Label;
use pcapae::progress::Progress;

use super::input::{counted, output};
use crate::args::FitArgs;
use crate::progress::Console;

/// Fits, then puts the detector in its place.
pub fn run(args: &FitArgs, console: &Console) -> anyhow::Result<ExitCode> {
    args.threads.apply()?;
    let blueprint = seeded(Blueprint::open(&args.blueprint)?, args.seed, console);
    let input = SampleFile::open(&args.input)?;
    input.check_rows()?;
    let file = output(&args.output, args.force, [&args.blueprint, &args.input])?;
    warn_of_anomalies(&input, console)?;
    console.begin("fitting", None);
    let fitted = Fitted::fit(&blueprint, &input)?;
    file.write(&fitted.to_bytes()?)?;
    console.clear();
    if fitted.detector().numbers().scalar("converged").is_ok_and(|converged| converged == 0.0) {
        console.warn("the solver stopped at max_iter before it reached its tolerance");
    }
    let own = fitted.own_threshold().map_or_else(String::new, |value| format!(", own threshold {value}"));
    let name = blueprint.name();
    let rows = counted(fitted.count(), "row");
    console.say(format_args!("{}: {name}, fitted to {rows}: {}{own}", args.output.display(), fitted.rows()));
    Ok(ExitCode::SUCCESS)
}

/// The blueprint with another seed, where one is given.
fn seeded(blueprint: Blueprint, seed: Option<u64>, console: &Console) -> Blueprint {
    let Some(seed) = seed else { return blueprint };
    blueprint.with_seed(seed).unwrap_or_else(|| {
        console.warn(format_args!("--seed changes nothing: {} draws no random numbers", blueprint.name()));
        blueprint
    })
}

/// Detectors learn what is normal: warns where rows to fit to are labelled anomalous.
pub fn warn_of_anomalies(input: &SampleFile, console: &Console) -> pcapae::Result<()> {
    let origins = input.origins(0..input.len())?;
    let anomalous = origins.iter().flatten().filter(|origin| origin.label == Label::Anomalous).count() as u64;
    if anomalous > 0 {
        let of = format!("{} of {}", anomalous, counted(origins.len() as u64, "row"));
        console.warn(format_args!(
            "{}: {of} are labelled anomalous, and will be taken for normal",
            input.path().display()
        ));
    }
    Ok(())
}
