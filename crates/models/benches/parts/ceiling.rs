//! What the products could reach: the best of many that nothing stands beside.

use nightjar_kernels::{Bf16, ByteRows, Cpu, Element, Linear, Precision, Rows};

use super::{Clock, numbers};

const INPUTS: usize = 384;
const OUTPUTS: usize = 1536;
const ROWS: usize = 512;
const RUNS: usize = 300;

/// Returns the most floating operations per second of a linear layer, and of the products in attention.
pub(crate) fn ceilings(clock: &mut Clock, precision: Precision) -> [f64; 2] {
    match precision {
        Precision::F32 => [ceiling::<f32>(clock, precision); 2],
        Precision::Bf16 => [ceiling::<Bf16>(clock, precision); 2],
        Precision::Int8 => [precision, Precision::Bf16].map(|precision| ceiling::<Bf16>(clock, precision)),
    }
}

fn ceiling<T: Element>(clock: &mut Clock, precision: Precision) -> f64 {
    let cpu = Cpu::detect();
    let (weight, bias) = (numbers::<f32>(INPUTS * OUTPUTS), numbers::<f32>(OUTPUTS));
    let linear = Linear::pack(&weight, &bias, INPUTS, precision);
    let values = numbers::<T>(ROWS * INPUTS);
    let mut bytes = ByteRows::default();
    bytes.quantize(cpu, &values, INPUTS);
    let rows = if precision == Precision::Int8 { Rows::Int8(&bytes) } else { T::rows(&values) };
    let mut out = vec![T::default(); ROWS * OUTPUTS];
    let best = (0..RUNS).map(|_| clock.time(|| linear.apply(cpu, rows, &mut out)).1).min().unwrap();
    (2 * INPUTS * OUTPUTS * ROWS) as f64 / best.as_secs_f64()
}
