//! The kernels of training against plain loops and finite differences in f64.

use nightjar_kernels::gradient::*;
use nightjar_kernels::{AttentionScratch, Cpu, Heads};
use proptest::prelude::*;

use crate::{near, noise};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn products_and_weight_gradients(rows in 0usize..40, inputs in 1usize..70, outputs in 1usize..130, seed in 0u64..1000) {
        let (x, weight, bias) = (noise(rows * inputs, seed), noise(outputs * inputs, seed + 1), noise(outputs, seed + 2));
        let gradients = noise(rows * outputs, seed + 3);
        let mut packed = vec![f32::NAN; packed_len(outputs, inputs)];
        pack_weight(&weight, inputs, &mut packed);
        let mut again = vec![0.0; weight.len()];
        unpack_weight(&packed, inputs, &mut again);
        prop_assert_eq!(&again, &weight);
        let mut transposed = vec![f32::NAN; packed_len(inputs, outputs)];
        transpose_packed(&packed, outputs, inputs, &mut transposed);
        for cpu in Cpu::available() {
            let mut out = vec![f32::NAN; rows * outputs];
            multiply_rows(cpu, &x, inputs, &packed, &bias, outputs, &mut out);
            let mut back = vec![f32::NAN; rows * inputs];
            multiply_rows(cpu, &gradients, outputs, &transposed, &[], inputs, &mut back);
            for row in 0..rows {
                for o in 0..outputs {
                    let sum: f64 = (0..inputs).map(|i| f64::from(x[row * inputs + i]) * f64::from(weight[o * inputs + i])).sum();
                    near(out[row * outputs + o], sum + f64::from(bias[o]), 1e-4, "product");
                }
                for i in 0..inputs {
                    let sum: f64 = (0..outputs).map(|o| f64::from(gradients[row * outputs + o]) * f64::from(weight[o * inputs + i])).sum();
                    near(back[row * inputs + i], sum, 1e-4, "input gradient");
                }
            }
            let mut sums = vec![1.0; packed.len()];
            let mut bias_sums = vec![2.0; outputs];
            let (mut scratch, mut packed_rows) = (Vec::new(), Vec::new());
            pack_rows(&x, inputs, &mut packed_rows);
            for (panel, weight) in sums.chunks_exact_mut(inputs * PANEL_OUTPUTS).enumerate() {
                let end = outputs.min((panel + 1) * PANEL_OUTPUTS);
                let bias = &mut bias_sums[panel * PANEL_OUTPUTS..end];
                add_weight_gradient(cpu, &packed_rows, (&gradients, outputs), panel, weight, bias, &mut scratch);
            }
            let mut found = vec![0.0; outputs * inputs];
            unpack_weight(&sums, inputs, &mut found);
            for o in 0..outputs {
                let of = |row: usize| f64::from(gradients[row * outputs + o]);
                near(bias_sums[o], 2.0 + (0..rows).map(of).sum::<f64>(), 1e-4, "bias gradient");
                for i in 0..inputs {
                    let sum: f64 = (0..rows).map(|row| of(row) * f64::from(x[row * inputs + i])).sum();
                    near(found[o * inputs + i], 1.0 + sum, 1e-4, "weight gradient");
                }
            }
        }
    }

    #[test]
    fn layer_norm(rows in 1usize..5, width in 2usize..70, seed in 0u64..1000) {
        let (x, w, b, g) = (noise(rows * width, seed), noise(width, seed + 1), noise(width, seed + 2), noise(rows * width, seed + 3));
        let forward = |x: &[f64], w: &[f64]| -> Vec<f64> {
            x.chunks_exact(width).flat_map(|row| {
                let mean = row.iter().sum::<f64>() / width as f64;
                let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
                let inverse = 1.0 / (variance + 1e-6).sqrt();
                row.iter().zip(w).zip(&b).map(move |((x, w), b)| (x - mean) * inverse * w + f64::from(*b)).collect::<Vec<_>>()
            }).collect()
        };
        let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let loss = |x: &[f64], w: &[f64]| -> f64 { forward(x, w).iter().zip(&g).map(|(o, g)| o * f64::from(*g)).sum() };
        for cpu in Cpu::available() {
            let (mut inputs, mut out, mut scales) = (x.clone(), vec![0.0; x.len()], vec![RowScale::default(); rows]);
            normalize_rows(cpu, (&w, &b, 1e-6), &inputs, &mut out, &mut scales);
            out.iter().zip(forward(&wide(&x), &wide(&w))).for_each(|(&o, e)| near(o, e, 1e-4, "norm"));
            let mut back = vec![0.0; x.len()];
            normalize_backward(cpu, &w, &scales, &mut inputs, &g, &mut back);
            for (i, &found) in back.iter().enumerate() {
                let slope = slope(&wide(&x), i, |x| loss(x, &wide(&w)));
                near(found, slope, 1e-3 * (1.0 + slope.abs()), "input gradient");
            }
            let mut sums = vec![0.0; width];
            add_column_sums(cpu, &inputs, &mut sums);
            for (i, &found) in sums.iter().enumerate() {
                near(found, slope(&wide(&w), i, |w| loss(&wide(&x), w)), 1e-3, "weight gradient");
            }
        }
    }

    #[test]
    fn gelu(x in proptest::collection::vec(-12.0f32..12.0, 1..50)) {
        // GELU by the trapezoid rule over the density, to 1e-9.
        let exact = |x: f64| x * (0.5 + (0..4000).map(|i| {
            let at = |i: usize| (-(x * i as f64 / 4000.0).powi(2) / 2.0).exp();
            (at(i) + at(i + 1)) / 2.0 * x / 4000.0 / std::f64::consts::TAU.sqrt()
        }).sum::<f64>());
        for cpu in Cpu::available() {
            let (mut inputs, mut gradients, mut out) = (x.clone(), vec![2.0; x.len()], vec![0.0; x.len()]);
            gelu_rows(cpu, &x, &mut out);
            gelu_backward(cpu, &mut inputs, &mut gradients);
            for (i, &x) in x.iter().enumerate() {
                near(out[i], exact(f64::from(x)), 1e-5, "gelu");
                near(inputs[i], exact(f64::from(x)), 1e-5, "gelu again");
                near(gradients[i], 2.0 * slope(&[f64::from(x)], 0, |x| exact(x[0])), 1e-4, "gradient");
            }
        }
    }
}

/// Returns the central difference of `f` in coordinate `i`.
fn slope(x: &[f64], i: usize, f: impl Fn(&[f64]) -> f64) -> f64 {
    let at = |step: f64| {
        let mut x = x.to_vec();
        x[i] += step;
        f(&x)
    };
    (at(1e-5) - at(-1e-5)) / 2e-5
}

/// Attention of one text in f64, each weight multiplied by its factor.
fn attention(qkv: &[f64], tokens: usize, heads: Heads, factors: &[f32]) -> Vec<f64> {
    let Heads { count, width, scaled_width } = heads;
    let at = |token: usize, part: usize, head: usize, i: usize| {
        qkv[((token * 3 + part) * count + head) * width + i]
    };
    let mut out = vec![0.0; tokens * count * width];
    for head in 0..count {
        for query in 0..tokens {
            let score = |key| (0..width).map(|i| at(query, 0, head, i) * at(key, 1, head, i)).sum::<f64>();
            let weights: Vec<f64> =
                (0..tokens).map(|key| (score(key) / (scaled_width as f64).sqrt()).exp()).collect();
            let total: f64 = weights.iter().sum();
            for key in 0..tokens {
                let weight =
                    weights[key] / total * f64::from(factors[(head * tokens + query) * tokens + key]);
                for i in 0..width {
                    out[(query * count + head) * width + i] += weight * at(key, 2, head, i);
                }
            }
        }
    }
    out
}

#[test]
fn attention_and_its_gradient_with_and_without_dropout() {
    let heads = Heads { count: 2, width: 16, scaled_width: 12 };
    let lengths = [1, 5, 19];
    let tokens: usize = lengths.iter().sum();
    for rate in [0.0, 0.3] {
        let dropout: Vec<Dropout> = (0..3).map(|text| Dropout::new(rate, 7 + text)).collect();
        let dropout = if rate == 0.0 { Vec::new() } else { dropout };
        let (qkv, gradients) = (noise(tokens * 96, 3), noise(tokens * 32, 4));
        for cpu in Cpu::available() {
            let mut out = vec![0.0; tokens * 32];
            attend_and_drop(cpu, &qkv, &lengths, heads, &dropout, &mut out, &mut AttentionScratch::default());
            let mut back = vec![f32::NAN; qkv.len()];
            let mut scratch = AttentionGradientScratch::default();
            attend_backward(cpu, &qkv, (&lengths, heads), &dropout, &gradients, &mut back, &mut scratch);
            let mut start = 0;
            for (text, &length) in lengths.iter().enumerate() {
                let mut factors = vec![1.0; 2 * length * length];
                dropout.iter().skip(text).take(1).for_each(|dropout| dropout.apply(cpu, &mut factors));
                let of = |x: &[f32], width: usize| {
                    x[start * width..][..length * width].iter().map(|&x| f64::from(x)).collect::<Vec<_>>()
                };
                let (x, g) = (of(&qkv, 96), of(&gradients, 32));
                let expected = attention(&x, length, heads, &factors);
                of(&out, 32).iter().zip(&expected).for_each(|(&o, &e)| near(o as f32, e, 1e-5, "attention"));
                let loss = |x: &[f64]| {
                    attention(x, length, heads, &factors).iter().zip(&g).map(|(o, g)| o * g).sum()
                };
                for (i, found) in of(&back, 96).into_iter().enumerate() {
                    near(found as f32, slope(&x, i, loss), 2e-5, "gradient");
                }
                start += length;
            }
        }
    }
}

#[test]
fn dropout_keeps_the_share_it_should_and_repeats() {
    let cpu = Cpu::detect();
    for rate in [0.1, 0.5] {
        let mut ones = vec![1.0; 100_000];
        Dropout::new(rate, 9).apply(cpu, &mut ones);
        let kept = ones.iter().filter(|&&x| x > 0.0).count() as f64 / 1e5;
        assert!((kept - (1.0 - f64::from(rate))).abs() < 0.01, "{kept}");
        assert!(ones.iter().all(|&x| x == 0.0 || x == 1.0 / (1.0 - rate)));
        for other in Cpu::available() {
            let mut again = vec![1.0; 100_000];
            Dropout::new(rate, 9).apply(other, &mut again);
            assert_eq!(ones, again);
        }
        let mut different = vec![1.0; 100_000];
        Dropout::new(rate, 10).apply(cpu, &mut different);
        let same = ones.iter().zip(&different).filter(|(a, b)| a == b).count() as f64 / 1e5;
        assert!(same < 0.9, "neighbouring seeds are independent, {same}");
    }
}

#[test]
fn adamw_is_the_published_step() {
    let adamw = AdamW {
        learning_rate: 0.01,
        weight_decay: 0.1,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        step: 3,
        gradient_scale: 0.5,
    };
    let (w, g, m, v) =
        (noise(37, 1), noise(37, 2), noise(37, 3), noise(37, 4).iter().map(|x| x.abs()).collect::<Vec<_>>());
    for cpu in Cpu::available() {
        let (mut found, mut first, mut second) = (w.clone(), m.clone(), v.clone());
        adamw.apply(cpu, &mut found, &g, &mut first, &mut second);
        for i in 0..37 {
            let g = 0.5 * f64::from(g[i]);
            let m = 0.9 * f64::from(m[i]) + 0.1 * g;
            let v = 0.999 * f64::from(v[i]) + 0.001 * g * g;
            let step = (m / (1.0 - 0.9f64.powi(3))) / ((v / (1.0 - 0.999f64.powi(3))).sqrt() + 1e-8);
            near(found[i], f64::from(w[i]) * (1.0 - 0.001) - 0.01 * step, 1e-5, "weight");
            near(first[i], m, 1e-6, "first");
            near(second[i], v, 1e-6, "second");
        }
        let norm: f64 = w.iter().map(|&x| f64::from(x).powi(2)).sum();
        assert!((squared_norm(cpu, &w) - norm).abs() < 1e-9);
    }
}
