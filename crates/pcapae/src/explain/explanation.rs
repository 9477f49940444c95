//! An explanation: a number, and the relevance of every byte for it.

/// How relevant every byte of a window was for a number.
///
/// With layer-wise relevance propagation, and for the residual map, relevance and bias relevance add up to the target's value; with integrated
/// gradients but for the error of the integral; with other methods they need not.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// What was explained: `score`, `code:3`, `detector`, `brightest`.
    pub target: String,
    /// Its value.
    pub target_value: f64,
    /// The name of the composite, or of the method.
    pub rule: String,
    /// Rows of a frame seen as a square.
    pub side: usize,
    /// The relevance of every byte, row-major, one list a frame; above 0 it speaks for a high value, below 0 for a low one.
    pub relevance: Vec<Vec<f64>>,
    /// Relevance that went to no byte, by where it went.
    pub bias: Vec<BiasRelevance>,
    /// The code of the window.
    pub code: Vec<f64>,
}

/// Relevance that went to no byte.
#[derive(Debug, Clone, PartialEq)]
pub struct BiasRelevance {
    /// A layer, by the name of its weight, for its biases and the shift of its normalisation; `constants` for states that are zero by
    /// definition and what does not depend on the window; `absorbed` for what stabilisers took and no input got.
    pub place: String,
    /// The relevance.
    pub relevance: f64,
}

impl Explanation {
    /// The place of relevance that stabilisers took, or that no input got.
    pub const ABSORBED: &'static str = "absorbed";

    /// The place of what does not depend on the window.
    pub const CONSTANTS: &'static str = "constants";

    /// Σ of the relevance of all bytes.
    pub fn of_bytes(&self) -> f64 {
        self.relevance.iter().flatten().sum()
    }

    /// Σ of the relevance that went to no byte.
    pub fn of_biases(&self) -> f64 {
        self.bias.iter().map(|bias| bias.relevance).sum()
    }

    /// Frames of the window.
    pub fn frames(&self) -> usize {
        self.relevance.len()
    }

    /// For every byte √(|r| / greatest |r|) with the sign of r, from −1 to 1: how deep a colour shows it, so that lesser ones are seen.
    pub fn heat(&self) -> Vec<Vec<f32>> {
        let greatest = self.relevance.iter().flatten().fold(0.0, |most: f64, r| most.max(r.abs()));
        let heat = |r: &f64| if greatest > 0.0 { ((r.abs() / greatest).sqrt() * r.signum()) as f32 } else { 0.0 };
        self.relevance.iter().map(|frame| frame.iter().map(heat).collect()).collect()
    }

    /// Places of the bytes in the window by |relevance|, the highest first: frame · side² + pixel.
    pub fn ranking(&self) -> Vec<usize> {
        let all: Vec<f64> = self.relevance.iter().flatten().map(|r| r.abs()).collect();
        let mut places: Vec<usize> = (0..all.len()).collect();
        places.sort_by(|a, b| all[*b].total_cmp(&all[*a]));
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_has_the_sign_of_relevance_and_reaches_one() {
        let mut explanation = Explanation {
            target: "score".into(),
            target_value: 1.5,
            rule: "gradient".into(),
            side: 2,
            relevance: vec![vec![0.0, 2.0, -0.5, 0.0]],
            bias: vec![],
            code: vec![],
        };
        assert_eq!(explanation.heat(), [[0.0, 1.0, -0.5, 0.0]]);
        assert_eq!(explanation.ranking()[..2], [1, 2]);
        explanation.relevance = vec![vec![0.0; 4]];
        assert_eq!(explanation.heat(), [[0.0; 4]]);
    }
}
