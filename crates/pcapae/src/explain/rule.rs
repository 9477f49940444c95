//! Rules: how the relevance of a layer's outputs is shared out among its inputs, as data.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// The stabiliser of rules that do not bring one of their own.
const EPSILON: f64 = 1e-9;

/// A rule of layer-wise relevance propagation for a layer z_k = Σ_j x_j·w_jk + b_k.
///
/// An input gets R_j = Σ_k q_jk / (Σ_j q_jk + q_k) · R_k. The rules differ in q: what an input, or with q_k the bias, is held to contribute.
/// Below, v⁺ is max(v, 0) and v⁻ is min(v, 0). Inputs may have either sign, so the rules that look at signs look at that of x·w.
/// What no input gets, since nothing contributes in the way that the rule asks for, is *absorbed* and accounted for.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// q_jk = x_j·w_jk, q_k = b_k, and ε·sign(z_k) added to the sum below.
    ///
    /// Bach et al., *On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation*, 2015, formula 58.
    /// With ε = 0 it is their formula 56. Where positive and negative contributions nearly cancel, shares get large.
    Epsilon {
        /// ε, from 0.
        epsilon: f64,
    },
    /// q_jk = x_j·w_jk + γ·(x_j·w_jk)⁺ where z_k ≥ 0, + γ·(x_j·w_jk)⁻ where z_k < 0; q_k likewise of b_k.
    ///
    /// Montavon et al., *Layer-Wise Relevance Propagation: An Overview*, 2019, for z_k ≥ 0; for both signs Andéol et al., *Learning
    /// Domain Invariant Representations by Joint Wasserstein Distance Minimization*, 2021.
    Gamma {
        /// γ, from 0: 0 is epsilon, infinity would be only what has the output's sign.
        gamma: f64,
    },
    /// q_jk = (x_j·w_jk)⁺, q_k = b_k⁺.
    ///
    /// Montavon et al., *Explaining Nonlinear Classification Decisions with Deep Taylor Decomposition*, 2017, formula 15, for x ≥ 0; the
    /// same as alpha-beta with α = 1, β = 0.
    ZPlus,
    /// α times the share in Σ (x_j·w_jk)⁺ + b_k⁺ minus β times the share in Σ (x_j·w_jk)⁻ + b_k⁻, where α − β = 1.
    ///
    /// Bach et al. 2015, formula 60. Where there are no contributions of one sign, those of the other get all.
    AlphaBeta {
        /// α, from 1; β = α − 1.
        alpha: f64,
    },
    /// q_jk = x_j·w_jk − l·w_jk⁺ − h·w_jk⁻, for inputs between l and h: pixels.
    ///
    /// Montavon et al. 2017, formula 17.
    ZBox {
        /// l, the lowest value of an input.
        low: f64,
        /// h, the highest.
        high: f64,
    },
    /// q_jk = w_jk², for inputs of any value.
    ///
    /// Montavon et al. 2017, formula 13.
    WSquare,
    /// q_jk = 1: every input that the output sees gets as much.
    ///
    /// Lapuschkin et al., *Unmasking Clever Hans Predictors and Assessing What Machines Really Learn*, 2019 (as ♭; there also Bach et al.
    /// 2016).
    Flat,
    /// R_j = R_k: relevance stays where it is. For layers with as many outputs as inputs, activations and normalisation, only.
    Pass,
}

impl Rule {
    /// Refuses numbers that the rule's paper does not allow.
    pub fn check(&self) -> Result<()> {
        let fine = |number: f64, least: f64| number.is_finite() && number >= least;
        let expected = match *self {
            Rule::Epsilon { epsilon } if !fine(epsilon, 0.0) => "an epsilon from 0",
            Rule::Gamma { gamma } if !fine(gamma, 0.0) => "a gamma from 0",
            Rule::AlphaBeta { alpha } if !fine(alpha, 1.0) => "an alpha from 1",
            Rule::ZBox { low, high } if !(low.is_finite() && high.is_finite() && low < high) => {
                "a box whose lower end is below the higher"
            }
            _ => return Ok(()),
        };
        Err(Error::setting("rule", self, expected))
    }

    /// The rule as sums of products, for the engine.
    pub(super) fn branches(&self) -> Vec<Branch> {
        use InputPart as X;
        use WeightPart as W;
        let term = |factor: f64, x: X, w: W| Term { factor, x, w };
        let all = term(1.0, X::All, W::All);
        let rising = |factor: f64| vec![term(factor, X::Positive, W::Positive), term(factor, X::Negative, W::Negative)];
        let falling =
            |factor: f64| vec![term(factor, X::Positive, W::Negative), term(factor, X::Negative, W::Positive)];
        let branch = |terms: Vec<Term>, bias: Bias| Branch { when: When::Always, share: 1.0, terms, bias };
        match *self {
            Rule::Epsilon { .. } => vec![branch(vec![all], Bias { all: 1.0, ..Bias::NONE })],
            Rule::Gamma { gamma } => vec![
                Branch {
                    when: When::NotNegative,
                    ..branch([vec![all], rising(gamma)].concat(), Bias { all: 1.0, positive: gamma, negative: 0.0 })
                },
                Branch {
                    when: When::Negative,
                    ..branch([vec![all], falling(gamma)].concat(), Bias { all: 1.0, positive: 0.0, negative: gamma })
                },
            ],
            Rule::ZPlus => vec![branch(rising(1.0), Bias { positive: 1.0, ..Bias::NONE })],
            Rule::AlphaBeta { alpha } => vec![
                Branch { share: alpha, ..branch(rising(1.0), Bias { positive: 1.0, ..Bias::NONE }) },
                Branch { share: 1.0 - alpha, ..branch(falling(1.0), Bias { negative: 1.0, ..Bias::NONE }) },
            ],
            Rule::ZBox { low, high } => {
                let terms = vec![all, term(-low, X::One, W::Positive), term(-high, X::One, W::Negative)];
                vec![branch(terms, Bias::NONE)]
            }
            Rule::WSquare => vec![branch(vec![term(1.0, X::One, W::Square)], Bias::NONE)],
            Rule::Flat => vec![branch(vec![term(1.0, X::One, W::One)], Bias::NONE)],
            Rule::Pass => vec![],
        }
    }

    /// What is added to a sum of contributions, in its own direction, before it is divided by.
    pub(super) fn epsilon(&self) -> f64 {
        match *self {
            Rule::Epsilon { epsilon } => epsilon,
            _ => EPSILON,
        }
    }
}

/// Part of a rule that is shared out by itself: its share, and what counts as a contribution in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Branch {
    pub when: When,
    pub share: f64,
    pub terms: Vec<Term>,
    pub bias: Bias,
}

/// For which outputs a branch is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum When {
    Always,
    NotNegative,
    Negative,
}

/// A summand of q_jk: factor · part of x_j · part of w_jk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Term {
    pub factor: f64,
    pub x: InputPart,
    pub w: WeightPart,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum InputPart {
    All,
    Positive,
    Negative,
    One,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum WeightPart {
    All,
    Positive,
    Negative,
    Square,
    One,
}

/// q_k = all·b + positive·b⁺ + negative·b⁻.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bias {
    pub all: f64,
    pub positive: f64,
    pub negative: f64,
}

impl Bias {
    const NONE: Bias = Bias { all: 0.0, positive: 0.0, negative: 0.0 };

    pub fn of(&self, b: f64) -> f64 {
        self.all * b + self.positive * b.max(0.0) + self.negative * b.min(0.0)
    }
}

impl InputPart {
    pub fn of(self, x: f64) -> f64 {
        match self {
            InputPart::All => x,
            InputPart::Positive => x.max(0.0),
            InputPart::Negative => x.min(0.0),
            InputPart::One => 1.0,
        }
    }
}

impl WeightPart {
    pub fn of(self, w: f64) -> f64 {
        match self {
            WeightPart::All => w,
            WeightPart::Positive => w.max(0.0),
            WeightPart::Negative => w.min(0.0),
            WeightPart::Square => w * w,
            WeightPart::One => 1.0,
        }
    }
}

/// `epsilon:0.000001`, `gamma:0.25`, `z-plus`, `alpha-beta:2`, `z-box:0:1`, `w-square`, `flat`, `pass`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Epsilon { epsilon } => write!(f, "epsilon:{epsilon}"),
            Rule::Gamma { gamma } => write!(f, "gamma:{gamma}"),
            Rule::ZPlus => f.write_str("z-plus"),
            Rule::AlphaBeta { alpha } => write!(f, "alpha-beta:{alpha}"),
            Rule::ZBox { low, high } => write!(f, "z-box:{low}:{high}"),
            Rule::WSquare => f.write_str("w-square"),
            Rule::Flat => f.write_str("flat"),
            Rule::Pass => f.write_str("pass"),
        }
    }
}

/// Reads what `Display` writes; without its number, `epsilon` has 1e-6, `gamma` 0.25, `alpha-beta` 2, `z-box` 0 and 1.
impl FromStr for Rule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Rule> {
        let unknown = || {
            Error::setting(
                "rule",
                text.to_owned(),
                "epsilon, gamma, z-plus, alpha-beta, z-box, w-square, flat or pass, the first two and alpha-beta with a number, as gamma:0.25",
            )
        };
        let mut words = text.split(':');
        let name = words.next().unwrap_or_default();
        let numbers: Vec<f64> = words.map(str::parse).collect::<Result<_, _>>().map_err(|_| unknown())?;
        let rule = match (name, numbers.as_slice()) {
            ("epsilon", []) => Rule::Epsilon { epsilon: 1e-6 },
            ("epsilon", [epsilon]) => Rule::Epsilon { epsilon: *epsilon },
            ("gamma", []) => Rule::Gamma { gamma: 0.25 },
            ("gamma", [gamma]) => Rule::Gamma { gamma: *gamma },
            ("z-plus", []) => Rule::ZPlus,
            ("alpha-beta", []) => Rule::AlphaBeta { alpha: 2.0 },
            ("alpha-beta", [alpha]) => Rule::AlphaBeta { alpha: *alpha },
            ("z-box", []) => Rule::ZBox { low: 0.0, high: 1.0 },
            ("z-box", [low, high]) => Rule::ZBox { low: *low, high: *high },
            ("w-square", []) => Rule::WSquare,
            ("flat", []) => Rule::Flat,
            ("pass", []) => Rule::Pass,
            _ => return Err(unknown()),
        };
        rule.check()?;
        Ok(rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read_back_as_it_was_written() {
        for text in ["epsilon:0.001", "gamma:0.25", "z-plus", "alpha-beta:2", "z-box:0:1", "w-square", "flat", "pass"] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in ["", "lrp", "gamma:-1", "gamma:x", "alpha-beta:0.5", "z-box:1:0", "epsilon:nan", "flat:1"] {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
    }
}
