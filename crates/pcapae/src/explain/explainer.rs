//! From a window, a target and a method to an explanation.

use std::collections::BTreeMap;

use super::backward::{Accounts, Backward};
use super::composite::Composite;
use super::explanation::{BiasRelevance, Explanation};
use super::method::{Baseline, Method};
use super::occlusion::occlude;
use super::target::{Frames, Run, Target};
use crate::model::{Autoencoder, Head};
use crate::progress::Progress;
use crate::{Error, Result};

/// Explains the outputs of a model. It computes in double precision by the network's definition, and changes nothing in the model.
#[derive(Debug, Clone, Copy)]
pub struct Explainer<'m> {
    model: &'m Autoencoder,
}

impl<'m> Explainer<'m> {
    /// An explainer of a model.
    pub fn new(model: &'m Autoencoder) -> Explainer<'m> {
        Explainer { model }
    }

    /// Explains one window: the bytes of [`window_frames`](crate::model::ModelConfig::window_frames) fragments, frame after frame.
    ///
    /// Refuses a window of another length, a target that the model does not have, rules out of range, and what `progress` interrupts.
    /// Progress counts the windows that are computed.
    pub fn explain(
        &self,
        window: &[u8],
        target: &Target,
        method: &Method,
        progress: &dyn Progress,
    ) -> Result<Explanation> {
        self.check(window, target, method)?;
        let values: Vec<f64> = window.iter().map(|byte| f64::from(*byte) / 255.0).collect();
        let run = self.run(values, window);
        let name = target.name();
        let target = &run.fixed(target);
        let (relevance, bias) = match method {
            Method::Lrp(composite) => self.propagate(&run, target, composite)?,
            Method::Gradient => (run.gradient(target)?, vec![]),
            Method::GradientTimesInput => {
                let mut relevance = run.gradient(target)?;
                relevance.iter_mut().flatten().zip(&run.window).for_each(|(r, x)| *r *= x);
                (relevance, vec![])
            }
            Method::IntegratedGradients { steps, baseline } => {
                self.integrate(&run, target, (*steps, *baseline), progress)?
            }
            Method::Occlusion { baseline } => {
                let replacement = self.baseline(&run, *baseline);
                (occlude(self.model, &run, target, &replacement, progress)?, vec![])
            }
            Method::Residual => (run.residual_map(target), vec![]),
        };
        Ok(Explanation {
            target: name,
            target_value: run.value(target)?,
            rule: method.to_string(),
            side: self.model.config().side.pixels(),
            relevance,
            bias,
            code: run.recording.graph.value(run.recording.code).values.clone(),
        })
    }

    fn check(&self, window: &[u8], target: &Target, method: &Method) -> Result<()> {
        let config = self.model.config();
        let expected = config.window_frames() * config.side.fragment_size();
        if window.len() != expected {
            return Err(Error::Setting {
                setting: "bytes in a window",
                got: window.len().to_string(),
                expected: expected.to_string(),
                remedy: None,
            });
        }
        target.check(config)?;
        match method {
            Method::Lrp(composite) => composite.check(),
            Method::IntegratedGradients { steps: 0, .. } => {
                Err(Error::Setting { setting: "steps", got: "0".into(), expected: "1 or more".into(), remedy: None })
            }
            Method::Residual if !matches!(target, Target::Score { .. }) => Err(Error::Setting {
                setting: "method",
                got: "residual".into(),
                expected: "one that explains codes: only the score has a part of each pixel".into(),
                remedy: None,
            }),
            _ => Ok(()),
        }
    }

    fn run<'a>(&'a self, window: Vec<f64>, bytes: &'a [u8]) -> Run<'a> {
        let config = self.model.config();
        let recording = self.model.network().record(&window[..config.window_size()]);
        Run { config, architecture: self.model.network().architecture(), recording, window, bytes }
    }

    fn propagate(&self, run: &Run, target: &Target, composite: &Composite) -> Result<(Frames, Vec<BiasRelevance>)> {
        let mut backward = Backward::new(&run.recording.graph, run.architecture, composite);
        let (mut relevance, constant) = run.begin(target, composite, &mut backward)?;
        let (of_frames, mut accounts) = backward.walk(&run.recording.frames);
        for (relevance, part) in relevance.iter_mut().zip(of_frames) {
            relevance.iter_mut().zip(part.values).for_each(|(relevance, part)| *relevance += part);
        }
        accounts.constants += constant;
        Ok((relevance, self.named(accounts)))
    }

    /// The accounts under the names of the weights.
    fn named(&self, accounts: Accounts) -> Vec<BiasRelevance> {
        let names: BTreeMap<usize, &str> =
            self.model.parameters().shapes().iter().map(|tensor| (tensor.range.start, tensor.name.as_str())).collect();
        let name = |start: &usize| names.get(start).copied().unwrap_or_default().trim_end_matches(".weight").to_owned();
        let of_layer = |(start, relevance): (&usize, &f64)| BiasRelevance { place: name(start), relevance: *relevance };
        let mut bias: Vec<BiasRelevance> = accounts.biases.iter().map(of_layer).collect();
        bias.push(BiasRelevance { place: Explanation::CONSTANTS.into(), relevance: accounts.constants });
        bias.push(BiasRelevance { place: Explanation::ABSORBED.into(), relevance: accounts.absorbed });
        bias
    }

    fn integrate(
        &self,
        run: &Run,
        target: &Target,
        (steps, baseline): (usize, Baseline),
        progress: &dyn Progress,
    ) -> Result<(Frames, Vec<BiasRelevance>)> {
        let start = self.baseline(run, baseline);
        let at = |share: f64| -> Vec<f64> {
            start.iter().zip(&run.window).map(|(from, to)| from + share * (to - from)).collect()
        };
        let mut relevance = run.zeros();
        progress.begin("integrating", Some(steps as u64));
        for step in 0..steps {
            if progress.interrupted() {
                return Err(Error::Interrupted);
            }
            let point = self.run(at((step as f64 + 0.5) / steps as f64), run.bytes);
            let gradient = point.gradient(target)?;
            for (sum, part) in relevance.iter_mut().flatten().zip(gradient.iter().flatten()) {
                *sum += part / steps as f64;
            }
            progress.advance(1);
        }
        for ((relevance, x), from) in relevance.iter_mut().flatten().zip(&run.window).zip(&start) {
            *relevance *= x - from;
        }
        let at_start = self.run(start, run.bytes).value(target)?;
        Ok((relevance, vec![BiasRelevance { place: Explanation::CONSTANTS.into(), relevance: at_start }]))
    }

    /// The baseline's value of every pixel of the window.
    fn baseline(&self, run: &Run, baseline: Baseline) -> Vec<f64> {
        let mut values = vec![0.0; run.window.len()];
        if baseline == Baseline::Reconstruction && run.config.head != Head::Categorical {
            let given = run.recording.outputs.iter().flat_map(|node| &run.recording.graph.value(*node).values);
            let first = values.len() - run.config.emitted_frames() * run.config.side.fragment_size();
            values[first..].iter_mut().zip(given).for_each(|(value, y)| *value = y.clamp(0.0, 1.0));
        }
        values
    }
}
