//! A gate: four channels computed from an input and a state, either of which may be absent.

use std::ops::Range;

use super::activation::Activation;
use super::config::STATE_CHANNELS;
use super::conv;
use super::group_norm::{GroupNorm, NormTape};
use super::planes::{Grid, Planes, sum};
use super::stencil::Stencil;

/// Side of a gate's kernel.
pub(crate) const KERNEL: usize = 5;

/// y = f(norm(Wx ∗ x + Wh ∗ h + b)), each map 5 × 5.
///
/// Its weight [4, channels of x + 4, 5, 5] is that of one convolution over x and h one after the other; kept apart, an
/// absent x or h costs nothing.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    from_x: Stencil,
    from_h: Stencil,
    bias: Range<usize>,
    bias_values: [f32; STATE_CHANNELS],
    norm: Option<GroupNorm>,
    activation: Activation,
}

/// Where a gate's parameters lie: four rows of a tensor that several gates may share.
#[derive(Debug, Clone)]
pub(crate) struct GateParameters {
    /// First element of the four rows.
    pub weight: usize,
    pub bias: Range<usize>,
    pub norm: Option<GroupNorm>,
}

/// What a gate looks at in one step.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub x: Option<&'a Planes>,
    pub h: Option<&'a Planes>,
}

/// Where the gradients of a gate's inputs are added; absent where the input is.
pub(crate) struct InputGradients<'a> {
    pub x: Option<&'a mut Planes>,
    pub h: Option<&'a mut Planes>,
}

/// What the way back needs.
#[derive(Debug, Clone)]
pub(crate) struct GateTape {
    pub y: Planes,
    norm: NormTape,
}

impl GateTape {
    pub fn new(grid: Grid) -> GateTape {
        GateTape { y: Planes::zeros(grid, STATE_CHANNELS), norm: NormTape::new(grid) }
    }
}

impl Gate {
    /// A gate on pictures of `grid` whose input has `channels_x` channels.
    pub fn new(grid: Grid, channels_x: usize, parameters: GateParameters, activation: Activation) -> Gate {
        let channels = channels_x + STATE_CHANNELS;
        let shape = [STATE_CHANNELS, channels, KERNEL, KERNEL];
        Gate {
            from_x: Stencil::new(grid, &conv::links(parameters.weight, shape, 0..channels_x)),
            from_h: Stencil::new(grid, &conv::links(parameters.weight, shape, channels_x..channels)),
            bias: parameters.bias,
            bias_values: [0.0; STATE_CHANNELS],
            norm: parameters.norm,
            activation,
        }
    }

    /// Takes its weights out of the line of parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        self.from_x.load(parameters);
        self.from_h.load(parameters);
        self.bias_values.copy_from_slice(&parameters[self.bias.clone()]);
        if let Some(norm) = &mut self.norm {
            norm.load(parameters);
        }
    }

    /// Computes `tape.y`.
    pub fn forward(&self, inputs: Inputs, tape: &mut GateTape) {
        let y = &mut tape.y;
        for (c, bias) in self.bias_values.iter().enumerate() {
            y.fill(c, *bias);
        }
        if let Some(x) = inputs.x {
            self.from_x.apply(x, y);
        }
        if let Some(h) = inputs.h {
            self.from_h.apply(h, y);
        }
        if let Some(norm) = &self.norm {
            norm.forward(y, &mut tape.norm);
        }
        for c in 0..STATE_CHANNELS {
            self.activation.apply(y.body_mut(c));
            y.clear_border(c);
        }
    }

    /// Adds the parameters' and the inputs' gradients; y' is spent.
    pub fn backward(
        &self,
        inputs: Inputs,
        tape: &GateTape,
        dy: &mut Planes,
        gradient: &mut [f32],
        input_gradients: InputGradients,
    ) {
        self.activation.differentiate(&tape.y, dy);
        if let Some(norm) = &self.norm {
            norm.backward(dy, &tape.norm, gradient);
        }
        for c in 0..STATE_CHANNELS {
            gradient[self.bias.start + c] += sum(dy.body(c));
        }
        if let Some(x) = inputs.x {
            self.from_x.add_gradient(x, dy, gradient);
        }
        if let Some(h) = inputs.h {
            self.from_h.add_gradient(h, dy, gradient);
        }
        if let Some(dx) = input_gradients.x {
            self.from_x.apply_transposed(dy, dx);
        }
        if let Some(dh) = input_gradients.h {
            self.from_h.apply_transposed(dy, dh);
        }
    }
}
