//! Composites: which rule is used for which layer.

use std::fmt;

use super::rule::Rule;
use crate::{Error, Result};

/// Which rule is used for which layer of the network, and how relevance passes through everything that is no layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Composite {
    /// The name, for people to read; a caller's own composite may have any.
    pub name: String,
    /// The first convolution, which sees the pixels.
    pub pixels: Rule,
    /// All other convolutions outside the cells, transposed ones included.
    pub convolution: Rule,
    /// The convolutions inside the cells, over input and state.
    pub cell: Rule,
    /// The last layer: to the pixel, or to the logits.
    pub output: Rule,
    /// The sums in the cells: h' = (1 − u)·h + u·c, and c' = f·c + i·g.
    pub sum: Rule,
    /// The products in the cells.
    pub product: ProductRule,
    /// The normalisation in the cells.
    pub norm: NormRule,
    /// Which inputs the error of a pixel is attributed to.
    pub error: ErrorRule,
}

/// How the relevance of a product of gate and signal is shared out. A gate is what comes from a sigmoid.
///
/// Arras et al., *Explaining Recurrent Neural Network Predictions in Sentiment Analysis*, 2017; *Evaluating Recurrent Neural Network
/// Explanations*, 2019.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProductRule {
    /// All to the signal, nothing to the gate.
    SignalTakeAll,
    /// Half to each.
    Half,
    /// In proportion to the absolute values of the two.
    Proportional,
}

/// How relevance passes through the group normalisation, y = γ·(x − mean)/deviation + β.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormRule {
    /// Mean and deviation are held constant: what is left is linear, and is made one layer with the convolution before it, as is usual
    /// with batch normalisation. Its shift counts as bias.
    Merge,
    /// [`Rule::Pass`]: the relevance of y is that of x. The shift is not accounted for.
    Pass,
}

/// Which inputs the error of a pixel, (y − x)², is attributed to: the reconstruction y, the byte x itself, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorRule {
    /// Half to the byte, which stays where it is; half to the reconstruction, and so to the bytes that it was made of. This is the
    /// flat rule for the layer y − x.
    Both,
    /// All to the reconstruction: which bytes made the model expect what is not there?
    Reconstruction,
}

/// The kinds of layer that a composite distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LayerKind {
    Pixels,
    Convolution,
    Cell,
    Output,
}

const EPSILON: Rule = Rule::Epsilon { epsilon: 1e-6 };
const GAMMA: Rule = Rule::Gamma { gamma: 0.25 };
/// Of the last layer, whose sums may be near zero and of either sign: gamma conserves where z-plus finds nothing positive, and no share gets
/// larger than three times the whole.
const LAST: Rule = Rule::Gamma { gamma: 1.0 };
const BOX: Rule = Rule::ZBox { low: 0.0, high: 1.0 };
const ALPHA_2: Rule = Rule::AlphaBeta { alpha: 2.0 };

impl Composite {
    /// The names that [`named`](Self::named) knows, the default first.
    pub const NAMES: [&str; 9] = [
        "gamma-box",
        "plus",
        "plus-flat",
        "alpha2-beta1",
        "alpha2-beta1-flat",
        "epsilon-gamma-box",
        "epsilon-plus",
        "epsilon-plus-flat",
        "epsilon",
    ];

    /// One of the composites that have a name. As in Montavon et al. 2019 the rules differ by depth. Those with epsilon in their names are
    /// what zennit (Anders et al. 2021) calls so; they suit classifiers, whose last layer gives a large number, and not the reconstruction of a
    /// byte that is zero: there contributions cancel, and what they share out gets many times larger than the score.
    ///
    /// | name | pixels | convolutions and cells | last layer | sums |
    /// |---|---|---|---|---|
    /// | `gamma-box` | z-box, 0 to 1 | gamma 0.25 | gamma 1 | gamma 0.25 |
    /// | `plus` | z-plus | z-plus | gamma 1 | gamma 0.25 |
    /// | `plus-flat` | flat | z-plus | gamma 1 | gamma 0.25 |
    /// | `alpha2-beta1` | alpha-beta 2 | alpha-beta 2 | gamma 1 | gamma 0.25 |
    /// | `alpha2-beta1-flat` | flat | alpha-beta 2 | gamma 1 | gamma 0.25 |
    /// | `epsilon-gamma-box` | z-box, 0 to 1 | gamma 0.25 | epsilon | gamma 0.25 |
    /// | `epsilon-plus` | z-plus | z-plus | epsilon | gamma 0.25 |
    /// | `epsilon-plus-flat` | flat | z-plus | epsilon | gamma 0.25 |
    /// | `epsilon` | epsilon | epsilon | epsilon | epsilon |
    ///
    /// All with signal-take-all, normalisation merged, and the error attributed to both byte and reconstruction.
    pub fn named(name: &str) -> Result<Composite> {
        let (pixels, inner, output) = match name {
            "gamma-box" => (BOX, GAMMA, LAST),
            "plus" => (Rule::ZPlus, Rule::ZPlus, LAST),
            "plus-flat" => (Rule::Flat, Rule::ZPlus, LAST),
            "alpha2-beta1" => (ALPHA_2, ALPHA_2, LAST),
            "alpha2-beta1-flat" => (Rule::Flat, ALPHA_2, LAST),
            "epsilon-gamma-box" => (BOX, GAMMA, EPSILON),
            "epsilon-plus" => (Rule::ZPlus, Rule::ZPlus, EPSILON),
            "epsilon-plus-flat" => (Rule::Flat, Rule::ZPlus, EPSILON),
            "epsilon" => (EPSILON, EPSILON, EPSILON),
            _ => {
                return Err(Error::Setting {
                    setting: "composite",
                    got: name.to_owned(),
                    expected: Composite::NAMES.join(", "),
                    remedy: None,
                });
            }
        };
        let sum = if name == "epsilon" { EPSILON } else { GAMMA };
        Ok(Composite {
            name: name.to_owned(),
            pixels,
            convolution: inner,
            cell: inner,
            output,
            sum,
            ..Composite::default()
        })
    }

    /// One rule for all layers, and gamma for the sums where the rule does not look at contributions.
    pub fn of_rule(rule: Rule) -> Composite {
        let looks = matches!(rule, Rule::Epsilon { .. } | Rule::Gamma { .. });
        Composite {
            name: rule.to_string(),
            pixels: rule,
            convolution: rule,
            cell: rule,
            output: rule,
            sum: if looks { rule } else { GAMMA },
            product: ProductRule::SignalTakeAll,
            norm: NormRule::Merge,
            error: ErrorRule::Both,
        }
    }

    /// Refuses rules out of range, and [`Rule::Pass`] for a layer with another number of inputs than of outputs.
    pub fn check(&self) -> Result<()> {
        for rule in [self.pixels, self.convolution, self.cell, self.output, self.sum] {
            rule.check()?;
            if rule == Rule::Pass {
                return Err(Error::Setting {
                    setting: "rule",
                    got: rule.to_string(),
                    expected: "one that shares out".into(),
                    remedy: Some("a convolution mixes its inputs; pass is for activations and normalisation".into()),
                });
            }
        }
        Ok(())
    }

    pub(super) fn rule(&self, kind: LayerKind) -> &Rule {
        match kind {
            LayerKind::Pixels => &self.pixels,
            LayerKind::Convolution => &self.convolution,
            LayerKind::Cell => &self.cell,
            LayerKind::Output => &self.output,
        }
    }
}

/// `gamma-box`.
impl Default for Composite {
    fn default() -> Composite {
        Composite { name: Composite::NAMES[0].to_owned(), pixels: BOX, output: LAST, ..Composite::of_rule(GAMMA) }
    }
}

/// The name, and what differs from the usual: `epsilon-plus, products half`.
impl fmt::Display for Composite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.product {
            ProductRule::SignalTakeAll => {}
            ProductRule::Half => f.write_str(", products half")?,
            ProductRule::Proportional => f.write_str(", products proportional")?,
        }
        if self.norm == NormRule::Pass {
            f.write_str(", normalisation passed")?;
        }
        match self.error {
            ErrorRule::Both => Ok(()),
            ErrorRule::Reconstruction => f.write_str(", error to the reconstruction"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_and_the_first_is_the_default() {
        for name in Composite::NAMES {
            let composite = Composite::named(name).unwrap();
            composite.check().unwrap();
            assert_eq!(composite.to_string(), name);
        }
        assert_eq!(Composite::named(Composite::NAMES[0]).unwrap(), Composite::default());
        assert!(Composite::named("lrp").is_err());
    }

    #[test]
    fn no_layer_passes_its_relevance_on_as_it_is() {
        assert!(Composite::of_rule(Rule::Pass).check().is_err());
    }
}
