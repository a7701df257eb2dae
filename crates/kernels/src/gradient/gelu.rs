//! GELU and its gradient.

use crate::activation::{erf, exp_of_nonpositive, gelu};
use crate::level::{Cpu, Kernel, Level};

/// Writes `gelu(inputs)` to `out`, of the same size.
pub fn gelu_rows(cpu: Cpu, inputs: &[f32], out: &mut [f32]) {
    assert_eq!(inputs.len(), out.len(), "the output's size");
    cpu.run(Forward { inputs, out });
}

/// Replaces `gradients`, those of the outputs, by those of the inputs, and `inputs` by the outputs.
///
/// The outputs are what the next layer's weight gradient reads; computing them again costs less than keeping them.
pub fn gelu_backward(cpu: Cpu, inputs: &mut [f32], gradients: &mut [f32]) {
    assert_eq!(inputs.len(), gradients.len(), "the gradients' size");
    cpu.run(Backward { inputs, gradients });
}

struct Forward<'a> {
    inputs: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self) {
        self.out.iter_mut().zip(self.inputs).for_each(|(out, &x)| *out = gelu::<L>(x));
    }
}

struct Backward<'a> {
    inputs: &'a mut [f32],
    gradients: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Level>(self) {
        /// 1 / √(2π).
        const DENSITY: f32 = 0.398_942_3;
        for (input, gradient) in self.inputs.iter_mut().zip(self.gradients.iter_mut()) {
            let x = *input;
            let below = L::mul_add(0.5, erf::<L>(x * std::f32::consts::FRAC_1_SQRT_2), 0.5);
            let density = DENSITY * exp_of_nonpositive::<L>(-0.5 * x * x);
            *gradient *= L::mul_add(x, density, below);
            *input = x * below;
        }
    }
}
