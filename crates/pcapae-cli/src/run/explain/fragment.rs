//! Explaining one fragment of a dataset, or one packet.

use std::path::Path;
use std::process::ExitCode;

use pcapae::dataset::Dataset;
use pcapae::explain::{DatasetWindow, Explainer, Explanation, Target, fields};
use pcapae::fragment::FragmentSize;
use pcapae::model::Autoencoder;
use pcapae::report::explanation_json;
use pcapae::{Error, Result};

use super::detector::{CodeDetector, codes_of};
use super::settings::{Form, method};
use super::shown::Shown;
use crate::args::{ExplainArgs, TargetArg};
use crate::progress::Console;
use crate::run::input::{counted, output};

/// Explains a fragment; shows it, or writes it.
pub(super) fn run(args: &ExplainArgs, console: &Console) -> anyhow::Result<ExitCode> {
    let form = args.output.as_deref().map(Form::of).transpose()?;
    let method = method(args)?;
    let path = dataset_path(args)?;
    let model = args.model.load()?;
    let dataset = Dataset::open(path)?;
    check(&dataset, &model, args)?;
    let (fragment, scored_in) = match (args.fragment, args.packet) {
        (Some(fragment), _) => (fragment, DatasetWindow::of(&dataset, model.config(), fragment)?),
        (None, packet) => DatasetWindow::of_packet(&dataset, &model, packet.unwrap_or_default())?,
    };
    let detector = detector(args, &model, &dataset)?;
    let file = match &args.output {
        Some(place) => Some(output(place, args.force, args.inputs.iter().chain([&args.model.path]))?),
        None => None,
    };
    let model = scored_in.model(&model)?;
    let window = scored_in.bytes(&dataset)?;
    let target = match (&args.target, &detector) {
        (TargetArg::Score, _) => scored_in.target(),
        (TargetArg::Code(entry), _) => Target::Code { entry: *entry },
        (TargetArg::Detector(_), Some(detector)) => detector.target(),
        (TargetArg::Brightest | TargetArg::Detector(_), _) => Target::Brightest,
    };
    let explanation = Explainer::new(&model).explain(&window, &target, &method, console)?;
    console.clear();
    let fields = fields(&explanation, &dataset, scored_in.fragments.clone())?;
    let remarks: Vec<String> = detector.iter().map(CodeDetector::remark).collect();
    let mut json = explanation_json(&explanation, &fields);
    json["fragment"] = fragment.into();
    json["window"] = serde_json::json!([scored_in.fragments.start, scored_in.fragments.end - 1]);
    json["dataset"] = path.display().to_string().into();
    json["remarks"] = remarks.clone().into();
    json["model"] = args.model.path.display().to_string().into();
    let shown = Shown {
        headline: headline(&dataset, (fragment, &scored_in), &explanation),
        remarks,
        explanation: &explanation,
        window: &window,
        frames: scored_in.fragments.clone().map(|fragment| format!("fragment {fragment}")).collect(),
        frame: fragment - scored_in.fragments.start,
        fields: &fields,
        packets_together: false,
        top: args.top,
    };
    shown.deliver(args, file.zip(form), &json, console)?;
    Ok(ExitCode::SUCCESS)
}

/// The detector whose score is to be explained, with a usual code where it needs one.
fn detector(args: &ExplainArgs, model: &Autoencoder, dataset: &Dataset) -> Result<Option<CodeDetector>> {
    let TargetArg::Detector(path) = &args.target else { return Ok(None) };
    let detector = CodeDetector::open(path, model, &args.model.path)?;
    Ok(Some(match detector.is_sampled() {
        true => detector.with_usual(&codes_of(dataset, model)?, &dataset.path().display().to_string()),
        false => detector,
    }))
}

/// The one dataset that is given.
fn dataset_path(args: &ExplainArgs) -> Result<&Path> {
    match args.inputs.as_slice() {
        [path] => Ok(path),
        several => Err(Error::Setting {
            setting: "number of datasets",
            got: several.len().to_string(),
            expected: "one, of which a fragment or packet is explained".into(),
            remedy: Some("several captures go with --alert".into()),
        }),
    }
}

/// Refuses a dataset whose fragments are not those of the model.
fn check(dataset: &Dataset, model: &Autoencoder, args: &ExplainArgs) -> Result<()> {
    let expected = FragmentSize::try_from(model.config())?;
    let path = || dataset.path().to_owned();
    if dataset.is_empty() {
        return Err(Error::NoFragments { path: path() });
    }
    if dataset.size() != expected {
        return Err(Error::OtherFragments {
            path: path(),
            got: format!("fragments of {}", dataset.size()),
            other: args.model.path.display().to_string(),
            expected: expected.to_string(),
        });
    }
    Ok(())
}

/// What is explained, in one line.
fn headline(dataset: &Dataset, (fragment, scored_in): (usize, &DatasetWindow), explanation: &Explanation) -> String {
    let packets = dataset.provenance(fragment..fragment + 1).ok().and_then(|provenance| {
        let origin = provenance.origin(fragment..fragment + 1)?;
        Some(match origin.first_packet == origin.last_packet {
            true => format!("packet {}", origin.first_packet),
            false => format!("packets {}-{}", origin.first_packet, origin.last_packet),
        })
    });
    let of = packets.map_or_else(String::new, |packets| format!(" ({packets})"));
    let frames = match scored_in.fragments.len() {
        1 => String::new(),
        frames => format!(" in a window of {}", counted(frames as u64, "fragment")),
    };
    format!(
        "fragment {fragment}{of}{frames}: {} {:.6}, {}",
        explanation.target, explanation.target_value, explanation.rule
    )
}
