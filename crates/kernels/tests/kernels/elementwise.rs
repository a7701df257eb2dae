//! Layer norm, and activations as bytes.

use nightjar_kernels::{Bf16, ByteRows, Cpu, LayerNorm, Linear, Precision, Rows};
use proptest::prelude::*;

use crate::{near, noise, numbers};

/// Hardware converts numbers below 2^-126 in its own way, and random rows hold them too seldom.
#[test]
fn rounding_to_bf16_has_the_same_bits_on_every_instruction_set() {
    let around = [0x0000_0001, 0x0040_0000, 0x007f_7fff, 0x007f_ffff, 0x0080_0000, 0x0080_8000, 0x7f7f_ffff];
    let rows: Vec<f32> =
        around.iter().flat_map(|&bits| [bits, bits | 0x8000_0000]).map(f32::from_bits).collect();
    // A row of zeros is all mean: what is left is the bias.
    for cpu in Cpu::available() {
        for &number in &rows {
            let norm = LayerNorm::new(vec![1.0; 17], vec![number; 17], 1e-6);
            let (mut found, mut copy) = (vec![0.0; 17], vec![Bf16::default(); 17]);
            norm.apply_and_copy(cpu, &mut found, &mut copy);
            assert_eq!(found, [number; 17], "{}", cpu.name());
            assert_eq!(copy, [Bf16::from_f32(number); 17], "{} of {number:e}", cpu.name());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn layer_norm_of_any_rows(
        (rows, weight, bias) in (1usize..6, 1usize..100).prop_flat_map(|(rows, width)| {
            (numbers(rows * width), numbers(width), numbers(width))
        }),
    ) {
        let width = weight.len();
        let norm = LayerNorm::new(weight.clone(), bias.clone(), 1e-6);
        for cpu in Cpu::available() {
            let mut found = rows.clone();
            let mut copy = vec![Bf16::default(); rows.len()];
            norm.apply_and_copy(cpu, &mut found, &mut copy);
            let mut alone = rows.clone();
            norm.apply(cpu, &mut alone);
            prop_assert_eq!(&alone, &found);
            prop_assert!(copy.iter().zip(&found).all(|(copy, &found)| *copy == Bf16::from_f32(found)));
            for (row, found) in rows.chunks_exact(width).zip(found.chunks_exact(width)) {
                let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / width as f64;
                let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / width as f64;
                let scale = 1.0 / (variance + 1e-6).sqrt();
                let size = row.iter().fold(0.0f64, |size, x| size.max(f64::from(x.abs())));
                for i in 0..width {
                    let expected = (f64::from(row[i]) - mean) * scale * f64::from(weight[i]) + f64::from(bias[i]);
                    // The mean is rounded relative to the row's greatest number, and its error scaled with the rest.
                    let bound = (size * scale + 1.0) * f64::from(weight[i].abs() + bias[i].abs()) * 2e-6 + 1e-30;
                    near(found[i], expected, bound, cpu.name());
                }
            }
        }
    }

    #[test]
    fn bytes_are_half_a_step_off_at_most(rows in (1usize..5).prop_flat_map(|rows| numbers(rows * 37))) {
        // The identity as a layer gives the rows back.
        let identity: Vec<f32> = (0..37 * 37).map(|i| f32::from(i % 38 == 0)).collect();
        let linear = Linear::pack(&identity, &[0.0; 37], 37, Precision::Int8);
        for cpu in Cpu::available() {
            let mut bytes = ByteRows::default();
            bytes.quantize(cpu, &rows, 37);
            let mut out = vec![0.0f32; rows.len()];
            linear.apply(cpu, Rows::Int8(&bytes), &mut out);
            for (row, found) in rows.chunks_exact(37).zip(out.chunks_exact(37)) {
                let (low, high) = row.iter().fold((0.0f32, 0.0f32), |(low, high), &x| (low.min(x), high.max(x)));
                for (&x, &found) in row.iter().zip(found) {
                    // The zero point is rounded too.
                    near(found, f64::from(x), f64::from(high - low) / 255.0 * 1.01 + 1e-35, cpu.name());
                }
            }
        }
    }
}

#[test]
fn a_wider_buffer_is_used_again() {
    let cpu = Cpu::detect();
    let mut bytes = ByteRows::default();
    bytes.quantize(cpu, &noise(4000, 1), 40);
    bytes.quantize(cpu, &noise(30, 2), 10);
    assert_eq!(bytes.rows(), 3);
    let mut out = [0.0f32; 3];
    Linear::pack(&[1.0; 10], &[0.0], 10, Precision::Int8).apply(cpu, Rows::Int8(&bytes), &mut out);
    for (row, found) in noise(30, 2).chunks_exact(10).zip(out) {
        near(found, row.iter().map(|&x| f64::from(x)).sum(), 0.1, "sum");
    }
}
