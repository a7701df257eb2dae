//! Linear layers and their epilogues.

use nightjar_kernels::{Bf16, ByteRows, Cpu, Element, Linear, Precision, Rows};
use proptest::prelude::*;

use crate::{near, noise, numbers};

/// A product in f64 of what the precision makes of the operands, and the sum of its absolute terms.
struct Expected {
    values: Vec<f64>,
    sizes: Vec<f64>,
}

fn expected(rows: &[f64], weight: &[f64], bias: &[f32], inputs: usize) -> Expected {
    let mut out = Expected { values: Vec::new(), sizes: Vec::new() };
    for row in rows.chunks_exact(inputs) {
        for (weight, &bias) in weight.chunks_exact(inputs).zip(bias) {
            let terms = || row.iter().zip(weight).map(|(a, b)| a * b);
            out.values.push(terms().sum::<f64>() + f64::from(bias));
            out.sizes.push(terms().map(f64::abs).sum::<f64>() + f64::from(bias.abs()));
        }
    }
    out
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

fn rounded(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(Bf16::from_f32(value).to_f32())).collect()
}

/// Returns the bf16 rows of a layer: each filled up to whole words.
fn bf16_rows(rows: &[f32], inputs: usize) -> Vec<Bf16> {
    let fill = inputs.next_multiple_of(2) - inputs;
    let row = |row: &[f32]| -> Vec<Bf16> {
        row.iter().map(|&value| Bf16::from_f32(value)).chain(vec![Bf16::default(); fill]).collect()
    };
    rows.chunks_exact(inputs).flat_map(row).collect()
}

/// Checks f32 and bf16 layers, and the three epilogues, on every instruction set.
fn check_floats(rows: &[f32], weight: &[f32], bias: &[f32], inputs: usize) {
    let outputs = bias.len();
    let count = rows.len() / inputs;
    for precision in [Precision::F32, Precision::Bf16] {
        let linear = Linear::pack(weight, bias, inputs, precision);
        let halves = bf16_rows(rows, inputs);
        let (operand, expected) = match precision {
            Precision::F32 => (Rows::F32(rows), expected(&wide(rows), &wide(weight), bias, inputs)),
            _ => (Rows::Bf16(&halves), expected(&rounded(rows), &rounded(weight), bias, inputs)),
        };
        // One rounding a term, of at most half a unit in the last place of the running sum.
        let bound = |i: usize| expected.sizes[i] * (inputs as f64 + 4.0) * 6e-8 + 1e-30;
        for cpu in Cpu::available() {
            let what = format!("{} {precision} {count} x {inputs} x {outputs}", cpu.name());
            let mut out = vec![f32::NAN; count * outputs];
            linear.apply(cpu, operand, &mut out);
            for (i, &found) in out.iter().enumerate() {
                near(found, expected.values[i], bound(i), &what);
            }
            let mut sum = noise(count * outputs, 7);
            let before = sum.clone();
            linear.add_to(cpu, operand, &mut sum);
            for ((&found, &before), &product) in sum.iter().zip(&before).zip(&out) {
                assert_eq!(found.to_bits(), (before + product).to_bits(), "add: {what}");
            }
            let mut halves = vec![Bf16::default(); count * outputs];
            linear.apply(cpu, operand, &mut halves);
            assert!(halves.iter().zip(&out).all(|(half, &full)| *half == Bf16::of(full)), "bf16 out: {what}");
            let mut activated = vec![f32::NAN; count * outputs];
            linear.apply_gelu(cpu, operand, &mut activated);
            for (&found, &x) in activated.iter().zip(&out) {
                near(found, gelu(f64::from(x)), 4e-7 * f64::from(x.abs()) + 1e-30, &format!("gelu: {what}"));
            }
        }
    }
}

/// Checks the integer product: exact on every instruction set.
fn check_bytes(rows: &[f32], weight: &[f32], bias: &[f32], inputs: usize) {
    let outputs = bias.len();
    let count = rows.len() / inputs;
    let linear = Linear::pack(weight, bias, inputs, Precision::Int8);
    let sizes = expected(&wide(rows), &wide(weight), bias, inputs);
    let mut first: Option<Vec<u32>> = None;
    for cpu in Cpu::available() {
        let mut bytes = ByteRows::default();
        bytes.quantize(cpu, rows, inputs);
        assert_eq!(bytes.rows(), count);
        let mut out = vec![f32::NAN; count * outputs];
        linear.apply(cpu, Rows::Int8(&bytes), &mut out);
        for (i, &found) in out.iter().enumerate() {
            // A step of a row is 1/255 of its range, of a channel 1/127 of its greatest weight: both are rounded, and
            // a channel's rarest weights may be cut off by a third.
            let row = &rows[i / outputs * inputs..][..inputs];
            let channel = &weight[i % outputs * inputs..][..inputs];
            let size = |values: &[f32]| values.iter().fold(0.0f64, |size, v| size.max(f64::from(v.abs())));
            let bound = inputs as f64 * size(row) * size(channel) * 0.35 + 1e-6;
            near(
                found,
                sizes.values[i],
                bound,
                &format!("{} int8 {count} x {inputs} x {outputs}", cpu.name()),
            );
        }
        let bits = out.iter().map(|value| value.to_bits()).collect();
        assert_eq!(*first.get_or_insert(Vec::clone(&bits)), bits, "{} is not exact", cpu.name());
    }
}

fn gelu(x: f64) -> f64 {
    x * 0.5 * erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// The complementary error function in f64, by its continued fraction beyond 2 and its series below.
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x < 2.5 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return 1.0 - sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let fraction = (1..200).rev().fold(x, |below, n| x + f64::from(n) / 2.0 / below);
    (-x * x).exp() / fraction / std::f64::consts::PI.sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_shape_and_numbers(
        (rows, weight, bias, inputs) in (1usize..20, 1usize..70, 1usize..130).prop_flat_map(|(rows, inputs, outputs)| {
            (numbers(rows * inputs), numbers(outputs * inputs), numbers(outputs), Just(inputs))
        }),
    ) {
        check_floats(&rows, &weight, &bias, inputs);
        check_bytes(&rows, &weight, &bias, inputs);
    }
}

#[test]
fn the_shapes_of_real_models() {
    for (rows, inputs, outputs) in
        [(1, 384, 1152), (8, 1536, 384), (9, 384, 384), (13, 312, 1200), (0, 32, 16)]
    {
        let (x, w) = (noise(rows * inputs, 1), noise(outputs * inputs, 2));
        check_floats(&x, &w, &noise(outputs, 3), inputs);
        check_bytes(&x, &w, &noise(outputs, 3), inputs);
    }
}

#[test]
fn a_row_has_the_same_bits_in_any_company() {
    let (inputs, outputs) = (100, 70);
    let (x, w, bias) = (noise(21 * inputs, 1), noise(outputs * inputs, 2), noise(outputs, 3));
    for cpu in Cpu::available() {
        let linear = Linear::pack(&w, &bias, inputs, Precision::F32);
        let mut all = vec![0.0; 21 * outputs];
        linear.apply(cpu, Rows::F32(&x), &mut all);
        for first in 0..21 {
            for count in 1..=21 - first {
                let mut some = vec![0.0f32; count * outputs];
                linear.apply(cpu, Rows::F32(&x[first * inputs..][..count * inputs]), &mut some);
                assert_eq!(some, all[first * outputs..][..count * outputs], "{} {first} {count}", cpu.name());
            }
        }
    }
}

#[test]
fn numbers_that_are_none_show_in_every_precision() {
    let weight = vec![1.0; 4];
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let rows = [0.0, 1.0, odd, 2.0, 1.0, 1.0, 1.0, 1.0];
        for cpu in Cpu::available() {
            let mut bytes = ByteRows::default();
            bytes.quantize(cpu, &rows, 4);
            let halves = rows.map(Bf16::from_f32);
            for (precision, rows) in [
                (Precision::F32, Rows::F32(&rows)),
                (Precision::Bf16, Rows::Bf16(&halves)),
                (Precision::Int8, Rows::Int8(&bytes)),
            ] {
                let mut out = [0.0f32; 2];
                Linear::pack(&weight, &[0.0], 4, precision).apply(cpu, rows, &mut out);
                assert!(!out[0].is_finite(), "{} {precision}: {out:?}", cpu.name());
                near(out[1], 4.0, 0.05, "the row beside it");
            }
        }
    }
}

#[test]
#[should_panic(expected = "the size of the rows")]
fn rows_of_another_size_are_refused() {
    let linear = Linear::pack(&[1.0; 8], &[0.0; 2], 4, Precision::F32);
    linear.apply(Cpu::detect(), Rows::F32(&[0.0; 7]), &mut [0.0f32; 4]);
}

#[test]
#[should_panic(expected = "the precision of the rows")]
fn rows_of_another_precision_are_refused() {
    let linear = Linear::pack(&[1.0; 8], &[0.0; 2], 4, Precision::Int8);
    linear.apply(Cpu::detect(), Rows::F32(&[0.0; 8]), &mut [0.0f32; 4]);
}
