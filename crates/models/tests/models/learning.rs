//! Logistic regression: the optimum of scikit-learn, whatever the order of classes or the number of threads.

use std::ops::ControlFlow;

use nightjar_models::{
    ClassWeights, Embeddings, FitPhase, FitProgress, LogisticFit, LogisticOptions, ModelError,
    classification_report, fit_logistic,
};

use crate::tiny;

fn go_on(_: FitProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// X = [[((i*7+j*3)%11)/11 - 0.4 for j in range(3)] for i in range(12)] as float32
fn small() -> Embeddings {
    let value = |i: u32, j: u32| (f64::from((i * 7 + j * 3) % 11) / 11.0 - 0.4) as f32;
    Embeddings { dim: 3, data: (0..12).flat_map(|i| (0..3).map(move |j| value(i, j))).collect() }
}

fn exact(c: f64, class_weights: ClassWeights) -> LogisticOptions {
    LogisticOptions { c: Some(c), class_weights, tolerance: 1e-11, ..Default::default() }
}

#[track_caller]
fn near(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 2e-6, "{found}, expected {expected}");
    }
}

// y = [0,1,2,0,1,2,1,1,2,0,0,2]; LogisticRegression(C=5, tol=1e-12, max_iter=100000).fit(X, y)
//   coef_ [[0.60041942, -1.118587, 0.78816425], [1.24234834, 1.2440353, -2.05481369], [-1.84276776,
// -0.1254483, 1.26664944]]
//   intercept_ [0.12509806, -0.0207715, -0.10432656]
#[test]
fn three_classes_agree_with_scikit_learn() {
    let y = [0, 1, 2, 0, 1, 2, 1, 1, 2, 0, 0, 2];
    let fit = fit_logistic(&small(), &y, 3, &exact(5.0, ClassWeights::None), &mut go_on).unwrap();
    assert!(fit.converged && fit.candidates.is_empty());
    let weight = [
        0.600_419_42,
        -1.118_587,
        0.788_164_25,
        1.242_348_34,
        1.244_035_3,
        -2.054_813_69,
        -1.842_767_76,
        -0.125_448_3,
        1.266_649_44,
    ];
    near(&fit.weight, &weight);
    near(&fit.bias, &[0.125_098_06, -0.020_771_5, -0.104_326_56]);
}

/// Returns the difference of the two classes' parameters: scikit-learn's one vector.
fn difference(fit: &LogisticFit) -> (Vec<f32>, f32) {
    let weight = (0..3).map(|j| fit.weight[3 + j] - fit.weight[j]).collect();
    (weight, fit.bias[1] - fit.bias[0])
}

// y = [0,1,1,0,1,0,1,1,0,0,0,1]; LogisticRegression(C=5, tol=1e-12, max_iter=100000).fit(X, y)
//   coef_ [[0.16971208, 1.59376479, -1.67068892]], intercept_ [0.07197972]
// y = [0,0,0,0,1,0,1,0,0,0,0,1]; LogisticRegression(C=5, tol=1e-12, max_iter=100000,
// class_weight='balanced').fit(X, y)
//   coef_ [[-0.07634463, -0.65060446, -1.45365234]], intercept_ [0.04269264]
#[test]
fn two_classes_agree_with_scikit_learn() {
    let y = [0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 0, 1];
    let fit = fit_logistic(&small(), &y, 2, &exact(5.0, ClassWeights::None), &mut go_on).unwrap();
    let (weight, bias) = difference(&fit);
    near(&weight, &[0.169_712_08, 1.593_764_79, -1.670_688_92]);
    near(&[bias], &[0.071_979_72]);
    let y = [0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1];
    let fit = fit_logistic(&small(), &y, 2, &exact(5.0, ClassWeights::Balanced), &mut go_on).unwrap();
    let (weight, bias) = difference(&fit);
    near(&weight, &[-0.076_344_63, -0.650_604_46, -1.453_652_34]);
    near(&[bias], &[0.042_692_64]);
}

/// Sentences about things that are good (1) or bad (0), in an order that mixes both.
fn opinions() -> (Vec<String>, Vec<u32>) {
    let things =
        ["battery", "screen", "coffee", "movie", "hotel", "service", "food", "book", "laptop", "staff"];
    let words = [
        ("great", 1),
        ("terrible", 0),
        ("love", 1),
        ("hate", 0),
        ("good", 1),
        ("bad", 0),
        ("perfect", 1),
        ("broken", 0),
    ];
    let all = things
        .iter()
        .flat_map(|thing| words.iter().map(move |(word, y)| (format!("the {thing} is {word}"), *y)));
    all.unzip()
}

#[test]
fn a_head_on_the_tiny_model_learns_good_and_bad() {
    let (_dir, encoder) = tiny(11);
    let (texts, y) = opinions();
    let embed = |held_out: bool| {
        let chosen = |i: &usize| (i % 7 == 3) == held_out;
        let rows: Vec<usize> = (0..texts.len()).filter(chosen).collect();
        let texts: Vec<&str> = rows.iter().map(|&row| texts[row].as_str()).collect();
        (encoder.embed(&texts).unwrap(), rows.iter().map(|&row| y[row]).collect::<Vec<u32>>())
    };
    let (x, y) = embed(false);
    let mut selected = 0;
    let mut watch = |progress: FitProgress| {
        selected += usize::from(matches!(progress.phase, FitPhase::Select { .. }));
        ControlFlow::Continue(())
    };
    let fit = fit_logistic(&x, &y, 2, &LogisticOptions::default(), &mut watch).unwrap();
    assert!(selected > 0 && fit.converged && !fit.candidates.is_empty());
    let least = fit.candidates.iter().map(|(_, loss)| *loss).fold(f64::INFINITY, f64::min);
    assert!(fit.candidates.contains(&(fit.c, least)));
    let labels = vec!["bad".to_owned(), "good".to_owned()];
    let head = fit.head(labels.clone()).unwrap();
    let (unseen, expected) = embed(true);
    let found: Vec<u32> = head.best(&unseen).into_iter().map(|class| class as u32).collect();
    assert_eq!(found, expected);
    let truth: Vec<usize> = y.iter().map(|&y| y as usize).collect();
    let report = classification_report(&truth, &head.probabilities(&x), &labels).unwrap();
    assert_eq!(report.accuracy, 1.0);
    let sums: Vec<f32> = head.probabilities(&x).chunks(2).map(|row| row.iter().sum()).collect();
    assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-6));
}

#[test]
fn threads_do_not_change_a_bit() {
    let (_dir, encoder) = tiny(12);
    let texts: Vec<String> = (0..2500).map(|i| crate::some_text(i, 2 + i % 9) + &format!(" {i}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let x = encoder.embed(&texts).unwrap();
    let y: Vec<u32> = (0..2500).map(|i| (i % 9 / 3) as u32).collect();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let options = LogisticOptions { folds: 3, grid: vec![0.5, 2.0], ..Default::default() };
        pool.install(|| fit_logistic(&x, &y, 3, &options, &mut go_on).unwrap())
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(4));
}

#[test]
fn a_run_can_be_stopped() {
    let mut calls = 0;
    let mut stop = |_: FitProgress| {
        calls += 1;
        if calls == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let y = [0, 1, 2, 0, 1, 2, 1, 1, 2, 0, 0, 2];
    let stopped = fit_logistic(&small(), &y, 3, &LogisticOptions::default(), &mut stop);
    assert!(matches!(stopped, Err(ModelError::Cancelled)));
    assert_eq!(calls, 3);
}

#[test]
fn rare_classes_and_tiny_data_still_train() {
    let x = Embeddings { dim: 2, data: vec![1.0, 0.0, 0.0, 1.0, -1.0, 0.0] };
    let fit = fit_logistic(&x, &[0, 1, 2], 3, &LogisticOptions::default(), &mut go_on).unwrap();
    assert!(fit.weight.iter().all(|value| value.is_finite()));
    // Equal rows with different labels: nothing to learn but the shares.
    let x = Embeddings { dim: 2, data: vec![0.5; 8] };
    let fit = fit_logistic(&x, &[0, 0, 0, 1], 2, &LogisticOptions::default(), &mut go_on).unwrap();
    let head = fit.head(vec!["a".into(), "b".into()]).unwrap();
    assert!((head.probabilities(&x)[0] - 0.75).abs() < 1e-4);
}

#[test]
fn unusable_data_and_options_are_refused() {
    let fit = |x: &Embeddings, y: &[u32], classes, options: &LogisticOptions| {
        fit_logistic(x, y, classes, options, &mut go_on).unwrap_err()
    };
    let plain = LogisticOptions::default();
    let x = Embeddings { dim: 1, data: vec![1.0, 2.0] };
    let data = |error: ModelError| assert!(matches!(error, ModelError::TrainingData { .. }), "{error}");
    data(fit(&Embeddings { dim: 1, data: vec![] }, &[], 2, &plain));
    data(fit(&x, &[0, 0], 1, &plain));
    data(fit(&x, &[0, 2], 2, &plain));
    data(fit(&x, &[0, 0], 2, &plain));
    data(fit(&Embeddings { dim: 1, data: vec![1.0, f32::NAN] }, &[0, 1], 2, &plain));
    assert!(matches!(fit(&x, &[0], 2, &plain), ModelError::SizeMismatch { .. }));
    for options in [
        LogisticOptions { c: Some(0.0), ..plain.clone() },
        LogisticOptions { grid: vec![], ..plain.clone() },
        LogisticOptions { grid: vec![2.0, 1.0], ..plain.clone() },
        LogisticOptions { folds: 1, ..plain.clone() },
        LogisticOptions { tolerance: f64::NAN, ..plain.clone() },
        LogisticOptions { max_iterations: 0, ..plain },
    ] {
        assert!(matches!(fit(&x, &[0, 1], 2, &options), ModelError::OptionInvalid { .. }));
    }
}
