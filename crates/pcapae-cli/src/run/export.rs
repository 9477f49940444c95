//! `pcapae export`: a model for other programs.

use std::process::ExitCode;

use pcapae::model::Part;

use super::input::output;
use crate::args::{ExportArgs, FormatArg, PartArg};
use crate::progress::Console;

/// Writes the model in another form.
pub fn run(args: ExportArgs, console: &Console) -> anyhow::Result<ExitCode> {
    let part = match args.part {
        Some(PartArg::Encoder) => Part::Encoder,
        Some(PartArg::Autoencoder) | None => Part::Autoencoder,
    };
    if args.format == FormatArg::Safetensors && part == Part::Encoder {
        return Err(pcapae::Error::Setting {
            setting: "part",
            got: part.name().to_owned(),
            expected: "autoencoder: safetensors hold all weights".to_owned(),
            remedy: Some("leave --part out".to_owned()),
        }
        .into());
    }
    let model = args.model.load()?;
    let file = output(&args.output, args.force, [&args.model.path])?;
    let bytes = match args.format {
        FormatArg::Onnx => model.to_onnx(part)?,
        FormatArg::Safetensors => model.to_safetensors()?,
    };
    file.write(&bytes)?;
    console.say(format_args!("{}: {} bytes", args.output.display(), bytes.len()));
    Ok(ExitCode::SUCCESS)
}
