//! Attention over packed texts.

use nightjar_kernels::{AttentionScratch, Bf16, Cpu, Element, Heads, attend};
use proptest::prelude::*;

use crate::{near, noise, numbers};

/// Attention in f64, text by text and head by head.
fn expected(qkv: &[f64], lengths: &[usize], heads: Heads) -> Vec<f64> {
    let Heads { count, width, scaled_width } = heads;
    let part =
        |token: usize, part: usize, head: usize| &qkv[((token * 3 + part) * count + head) * width..][..width];
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut out = Vec::new();
    let mut start = 0;
    for &length in lengths {
        let tokens = start..start + length;
        for query in tokens.clone() {
            for head in 0..count {
                let score =
                    |key| dot(part(query, 0, head), part(key, 1, head)) / (scaled_width as f64).sqrt();
                let scores: Vec<f64> = tokens.clone().map(score).collect();
                let max = scores.iter().copied().fold(f64::MIN, f64::max);
                let weights: Vec<f64> = scores.iter().map(|score| (score - max).exp()).collect();
                let total: f64 = weights.iter().sum();
                for i in 0..width {
                    let terms =
                        tokens.clone().zip(&weights).map(|(token, w)| w / total * part(token, 2, head)[i]);
                    out.push(terms.sum::<f64>());
                }
            }
        }
        start += length;
    }
    out
}

fn check<T: Element>(qkv: &[f32], lengths: &[usize], heads: Heads, bound: f64) {
    let qkv: Vec<T> = qkv.iter().map(|&value| T::of(value)).collect();
    let wide: Vec<f64> = qkv.iter().map(|value| f64::from(value.value())).collect();
    let expected = expected(&wide, lengths, heads);
    for cpu in Cpu::available() {
        let mut out = vec![T::of(f32::NAN); expected.len()];
        attend(cpu, &qkv, lengths, heads, &mut out, &mut AttentionScratch::default());
        for (found, expected) in out.iter().zip(&expected) {
            near(found.value(), *expected, bound, &format!("{} {lengths:?} {heads:?}", cpu.name()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_texts(
        (lengths, qkv, count, width) in (proptest::collection::vec(1usize..40, 0..4), 1usize..4, 1usize..4)
            .prop_flat_map(|(lengths, count, width)| {
                let numbers = numbers(lengths.iter().sum::<usize>() * 3 * count * width * 16);
                (Just(lengths), numbers, Just(count), Just(width * 16))
            }),
    ) {
        let heads = Heads { count, width, scaled_width: width };
        // Scores of up to 30 · 30 · width make weights that differ by their own rounding.
        check::<f32>(&qkv, &lengths, heads, 5e-2);
        let small: Vec<f32> = qkv.iter().map(|value| value / 30.0).collect();
        check::<f32>(&small, &lengths, heads, 5e-6);
        check::<Bf16>(&small, &lengths, heads, 2e-2);
    }
}

#[test]
fn long_texts_and_filled_up_heads() {
    let heads = Heads { count: 2, width: 32, scaled_width: 24 };
    let lengths = [1, 7, 8, 9, 47, 48, 49, 130];
    let qkv = noise(lengths.iter().sum::<usize>() * 3 * 64, 5);
    check::<f32>(&qkv, &lengths, heads, 2e-6);
    check::<Bf16>(&qkv, &lengths, heads, 1e-2);
}

#[test]
fn a_text_has_the_same_bits_in_any_company_and_scratch_is_used_again() {
    let heads = Heads { count: 3, width: 16, scaled_width: 16 };
    let lengths = [33, 5, 1, 64, 18];
    let qkv = noise(lengths.iter().sum::<usize>() * 3 * 48, 6);
    for cpu in Cpu::available() {
        let mut scratch = AttentionScratch::default();
        let mut all = vec![0.0f32; qkv.len() / 3];
        attend(cpu, &qkv, &lengths, heads, &mut all, &mut scratch);
        let mut start = 0;
        for length in lengths {
            let mut alone = vec![0.0f32; length * 48];
            attend(cpu, &qkv[start * 144..][..length * 144], &[length], heads, &mut alone, &mut scratch);
            assert_eq!(alone, all[start * 48..][..length * 48], "{} {length}", cpu.name());
            start += length;
        }
    }
}
