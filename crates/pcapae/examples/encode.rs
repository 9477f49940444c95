//! A capture to the codes of a model, for other programs: `encode CAPTURE.pcap MODEL.safetensors CODES.h5`.

#![allow(clippy::print_stdout, reason = "this is an example")]

use std::num::NonZeroUsize;
use std::path::Path;

use pcapae::dataset::{Dataset, Description, Layout, build};
use pcapae::encode::encode;
use pcapae::fragment::{Cutting, FragmentSize, Mask, Mode, Semantics};
use pcapae::model::{self, Autoencoder};
use pcapae::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [capture, model, codes] = arguments.as_slice() else { return Err("expected CAPTURE MODEL CODES".into()) };
    let model = model::open(model.as_ref(), None)?;

    let dataset = Path::new(codes).with_extension("dataset.h5");
    let description = Description { name: capture.clone(), cutting: cutting(&model)? };
    let captures = Captures::open(&[capture.into()])?;
    build(captures, Labels::All(Label::Unknown), &description, Layout::Arrays, &dataset, &())?;

    let written = encode(&model, &Dataset::open(&dataset)?, NonZeroUsize::MIN, codes.as_ref(), &())?;
    println!("{codes}: {written} codes");
    Ok(())
}

/// As the fragments were cut that the model was trained on.
fn cutting(model: &Autoencoder) -> Result<Cutting> {
    let known = model.trained_on();
    Ok(Cutting {
        mode: known.mode.unwrap_or(Mode::Packet),
        size: FragmentSize::try_from(model.config())?,
        semantics: Semantics::Complete,
        mask: known.mask.unwrap_or(Mask::NONE),
    })
}
