//! `pcapae explain`: which bytes, and why.

mod view;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use pcapae::dataset::Dataset;
use pcapae::encode::check_fragments;
use pcapae::explain::{
    Baseline, Composite, ErrorRule, Explainer, Explanation, FieldRelevance, Method, Place, ProductRule, Target, fields,
    summary,
};
use pcapae::report::{ExplanationPicture, explanation_json};
use pcapae::{Error, Result};

use super::input::{counted, output};
use crate::args::{BaselineArg, ErrorArg, ExplainArgs, GatesArg, MethodArg, TargetArg};
use crate::progress::{Talk, print};

/// Explains one fragment; shows it, or writes it as a picture or as JSON.
pub fn run(args: &ExplainArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    let form = args.output.as_deref().map(Form::of).transpose()?;
    let method = method(args)?;
    let model = args.model.load()?;
    let dataset = Dataset::open(&args.dataset)?;
    check_fragments(&model, &dataset)?;
    let (fragment, place) = match (args.fragment, args.packet) {
        (Some(fragment), _) => (fragment, Place::of(&dataset, model.config(), fragment)?),
        (None, packet) => Place::of_packet(&dataset, &model, packet.unwrap_or_default())?,
    };
    let file = match &args.output {
        Some(path) => Some(output(path, args.force, [&args.model.path, &args.dataset])?),
        None => None,
    };
    let model = place.model(&model)?;
    let window = place.bytes(&dataset)?;
    let target = target(args.target, &place);
    let explanation = Explainer::new(&model).explain(&window, &target, &method, talk)?;
    talk.clear();
    let fields = fields(&explanation, &dataset, place.window.clone())?;
    let shown = Shown { args, dataset: &dataset, fragment, place: &place, window: &window, explanation, fields };
    if let (Some(file), Some(form)) = (file, form) {
        file.write(&match form {
            Form::Picture => shown.picture()?,
            Form::Json => shown.json().to_string().into_bytes(),
        })?;
    }
    if args.json {
        print(&format!("{}\n", shown.json()))?;
    } else if args.output.is_none() {
        // Colours only where they can be seen.
        match anstream::stdout().lock().write_all(view::view(&shown).as_bytes()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            written => written?,
        }
    } else {
        talk.say(shown.headline());
        if let Some(summary) = summary(&shown.fields) {
            talk.say(summary);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The form of the output file.
#[derive(Debug, Clone, Copy)]
enum Form {
    Picture,
    Json,
}

impl Form {
    fn of(path: &Path) -> Result<Form> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("png") => Ok(Form::Picture),
            Some("json") => Ok(Form::Json),
            _ => Err(Error::Setting {
                setting: "output",
                got: path.display().to_string(),
                expected: "a name that ends in .png or .json".into(),
                remedy: None,
            }),
        }
    }
}

fn method(args: &ExplainArgs) -> Result<Method> {
    let baseline = match args.baseline {
        BaselineArg::Reconstruction => Baseline::Reconstruction,
        BaselineArg::Zeros => Baseline::Zeros,
    };
    Ok(match args.method {
        MethodArg::Lrp => {
            let composite = match (&args.composite, args.rule) {
                (Some(name), _) => Composite::named(name)?,
                (None, Some(rule)) => Composite::of_rule(rule),
                (None, None) => Composite::default(),
            };
            composite.check()?;
            let product = match args.gates {
                GatesArg::Signal => ProductRule::SignalTakeAll,
                GatesArg::Half => ProductRule::Half,
                GatesArg::Proportional => ProductRule::Proportional,
            };
            let error = match args.error {
                ErrorArg::Both => ErrorRule::Both,
                ErrorArg::Reconstruction => ErrorRule::Reconstruction,
            };
            Method::Lrp(Composite { product, error, ..composite })
        }
        MethodArg::Gradient => Method::Gradient,
        MethodArg::GradientXInput => Method::GradientTimesInput,
        MethodArg::IntegratedGradients => Method::IntegratedGradients { steps: 64, baseline },
        MethodArg::Occlusion => Method::Occlusion { baseline },
        MethodArg::Residual => Method::Residual,
    })
}

fn target(target: TargetArg, place: &Place) -> Target<'static> {
    match target {
        TargetArg::Score => place.target(),
        TargetArg::Code(entry) => Target::Code { entry },
        TargetArg::Brightest => Target::Brightest,
    }
}

/// An explanation and where it is from.
pub(super) struct Shown<'a> {
    args: &'a ExplainArgs,
    dataset: &'a Dataset,
    fragment: usize,
    place: &'a Place,
    window: &'a [u8],
    explanation: Explanation,
    fields: Vec<FieldRelevance>,
}

impl Shown<'_> {
    /// The frame of the window that is the fragment.
    fn frame(&self) -> usize {
        self.fragment - self.place.window.start
    }

    /// What is explained, in one line.
    fn headline(&self) -> String {
        let packets = self.dataset.provenance(self.fragment..self.fragment + 1).ok().and_then(|provenance| {
            let origin = provenance.origin(self.fragment..self.fragment + 1)?;
            Some(match origin.first_packet == origin.last_packet {
                true => format!("packet {}", origin.first_packet),
                false => format!("packets {}-{}", origin.first_packet, origin.last_packet),
            })
        });
        let of = packets.map_or_else(String::new, |packets| format!(" ({packets})"));
        let frames = match self.place.window.len() {
            1 => String::new(),
            frames => format!(" in a window of {}", counted(frames as u64, "fragment")),
        };
        format!(
            "fragment {}{of}{frames}: {} {:.6}, {}",
            self.fragment, self.explanation.target, self.explanation.target_value, self.explanation.rule
        )
    }

    fn json(&self) -> serde_json::Value {
        let mut json = explanation_json(&self.explanation, &self.fields);
        json["fragment"] = self.fragment.into();
        json["window"] = serde_json::json!([self.place.window.start, self.place.window.end - 1]);
        json["dataset"] = self.args.dataset.display().to_string().into();
        json["model"] = self.args.model.path.display().to_string().into();
        json
    }

    fn picture(&self) -> anyhow::Result<Vec<u8>> {
        let mut notes: Vec<String> = summary(&self.fields).into_iter().collect();
        notes.extend(self.fields.iter().take(5).map(|field| {
            format!(
                "{:5.1} %  {:+.5}  packet {} at {}: {}",
                field.share * 100.0,
                field.relevance,
                field.packet,
                field.offset,
                field.name
            )
        }));
        let notes: Vec<String> = notes.iter().map(|note| note.replace('–', "-")).collect();
        let picture = ExplanationPicture {
            explanation: &self.explanation,
            window: self.window,
            frame: self.frame(),
            title: &self.headline(),
            notes: &notes,
        };
        Ok(picture.draw()?.png()?)
    }
}
