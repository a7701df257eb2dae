//! Limited-memory BFGS for smooth, strictly convex functions.
//!
//! Source: Nocedal and Wright, Numerical Optimization (2nd ed.), algorithms 7.4 and 7.5; the line search
//! keeps the strong Wolfe conditions by bisection and expansion. All arithmetic is f64 in a fixed order.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use crate::cholesky::dot;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Largest absolute gradient entry that counts as zero.
    pub(crate) tolerance: f64,
    /// The same as a multiple of the largest absolute parameter; the larger bound counts.
    pub(crate) relative: f64,
    pub(crate) iterations: usize,
}

/// Where the minimiser ended.
#[derive(Debug, Clone)]
pub(crate) struct Minimum {
    pub(crate) at: Vec<f64>,
    pub(crate) iterations: usize,
    pub(crate) converged: bool,
}

/// A step and the gradient's change along it.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// 1 / (step · change)
    rho: f64,
    /// change · preconditioned change
    size: f64,
}

const MEMORY: usize = 20;

/// Returns the minimum of `function` (value and gradient) from `start` on.
///
/// `precondition` multiplies by a fixed approximation of the inverse Hessian: positive definite, any scale.
/// `progress` sees each iteration's number and value, and may stop the search.
///
/// # Errors
/// Those of `function`, and `cancelled()` when `progress` breaks.
pub(crate) fn minimize<E>(
    start: Vec<f64>,
    limits: Limits,
    precondition: impl Fn(Vec<f64>) -> Result<Vec<f64>, E>,
    mut function: impl FnMut(&[f64]) -> Result<(f64, Vec<f64>), E>,
    mut progress: impl FnMut(usize, f64) -> ControlFlow<()>,
    cancelled: impl Fn() -> E,
) -> Result<Minimum, E> {
    let mut at = start;
    let (mut value, mut gradient) = function(&at)?;
    let mut pairs: VecDeque<Pair> = VecDeque::with_capacity(MEMORY);
    let mut iterations = 0;
    loop {
        let converged = largest(&gradient) <= limits.tolerance.max(limits.relative * largest(&at));
        if converged || iterations >= limits.iterations {
            return Ok(Minimum { at, iterations, converged });
        }
        let mut direction = descent(&gradient, &pairs, &precondition)?;
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            // Rounding has spoiled the memory: begin again from steepest descent.
            pairs.clear();
            direction = descent(&gradient, &pairs, &precondition)?;
            slope = dot(&direction, &gradient);
        }
        let found = search(&at, value, &direction, slope, &mut function)?;
        let Some((next, next_value, next_gradient)) = found else {
            // No step lowers the value any more: the gradient is at the limit of f64.
            return Ok(Minimum { at, iterations, converged: false });
        };
        let step: Vec<f64> = next.iter().zip(&at).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&step, &change);
        if curvature > f64::EPSILON * dot(&change, &change) {
            if pairs.len() == MEMORY {
                pairs.pop_front();
            }
            let size = dot(&change, &precondition(change.clone())?);
            pairs.push_back(Pair { step, change, rho: 1.0 / curvature, size });
        }
        (at, value, gradient) = (next, next_value, next_gradient);
        iterations += 1;
        if progress(iterations, value).is_break() {
            return Err(cancelled());
        }
    }
}

/// Returns the two-loop recursion's direction, downhill.
fn descent<E>(
    gradient: &[f64],
    pairs: &VecDeque<Pair>,
    precondition: &impl Fn(Vec<f64>) -> Result<Vec<f64>, E>,
) -> Result<Vec<f64>, E> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut alphas = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let alpha = pair.rho * dot(&pair.step, &direction);
        add(&mut direction, -alpha, &pair.change);
        alphas.push(alpha);
    }
    direction = precondition(direction)?;
    if let Some(pair) = pairs.back() {
        let scale = 1.0 / (pair.rho * pair.size);
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for (pair, alpha) in pairs.iter().zip(alphas.into_iter().rev()) {
        let beta = pair.rho * dot(&pair.change, &direction);
        add(&mut direction, alpha - beta, &pair.step);
    }
    Ok(direction)
}

type Point = (Vec<f64>, f64, Vec<f64>);

/// Returns a point that keeps the Wolfe conditions, else the lowest one met, else none.
fn search<E>(
    at: &[f64],
    value: f64,
    direction: &[f64],
    slope: f64,
    function: &mut impl FnMut(&[f64]) -> Result<(f64, Vec<f64>), E>,
) -> Result<Option<Point>, E> {
    const SUFFICIENT: f64 = 1e-4;
    const CURVATURE: f64 = 0.9;
    const TRIES: usize = 30;
    let (mut low, mut high, mut t) = (0.0, f64::INFINITY, 1.0);
    let mut best: Option<Point> = None;
    for _ in 0..TRIES {
        let mut next = at.to_vec();
        add(&mut next, t, direction);
        let (next_value, gradient) = function(&next)?;
        let next_slope = dot(direction, &gradient);
        let enough = next_value <= value + SUFFICIENT * t * slope;
        if enough && next_slope.abs() <= -CURVATURE * slope {
            return Ok(Some((next, next_value, gradient)));
        }
        // A value that is no number fails every comparison and so counts as too far.
        if enough && next_slope < 0.0 {
            low = t;
        } else {
            high = t;
        }
        if next_value < best.as_ref().map_or(value, |best| best.1) {
            best = Some((next, next_value, gradient));
        }
        t = if high.is_finite() { f64::midpoint(low, high) } else { 2.0 * t };
    }
    Ok(best)
}

fn largest(a: &[f64]) -> f64 {
    a.iter().fold(
        0.0,
        |largest, value| {
            if value.abs() > largest || value.is_nan() { value.abs() } else { largest }
        },
    )
}

fn add(a: &mut [f64], scale: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += scale * b);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(
        start: Vec<f64>,
        iterations: usize,
        function: impl Fn(&[f64]) -> (f64, Vec<f64>),
        progress: impl FnMut(usize, f64) -> ControlFlow<()>,
    ) -> Result<Minimum, &'static str> {
        let limits = Limits { tolerance: 1e-9, relative: 0.0, iterations };
        minimize(start, limits, Ok, |x| Ok(function(x)), progress, || "cancelled")
    }

    /// Rosenbrock's valley: not convex, so harder than what this is for. Its minimum is at (1, 1).
    fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
        let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
        (a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b])
    }

    #[test]
    fn finds_the_bottom_of_the_valley() {
        let minimum = run(vec![-1.2, 1.0], 200, rosenbrock, |_, _| ControlFlow::Continue(())).unwrap();
        assert!(minimum.converged);
        assert!(minimum.at.iter().all(|x| (x - 1.0).abs() < 1e-8), "{minimum:?}");
    }

    #[test]
    fn finds_an_ill_conditioned_minimum() {
        let bowl = |x: &[f64]| {
            let scale = |i: usize| 10f64.powi(i as i32 % 6);
            let value = x.iter().enumerate().map(|(i, x)| 0.5 * scale(i) * (x - 1.0) * (x - 1.0)).sum();
            (value, x.iter().enumerate().map(|(i, x)| scale(i) * (x - 1.0)).collect())
        };
        let minimum = run(vec![0.0; 30], 500, bowl, |_, _| ControlFlow::Continue(())).unwrap();
        assert!(minimum.converged && minimum.at.iter().all(|x| (x - 1.0).abs() < 1e-8), "{minimum:?}");
    }

    #[test]
    fn stops_when_told_and_when_out_of_iterations() {
        let stop = |i: usize, _: f64| {
            if i == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        assert_eq!(run(vec![-1.2, 1.0], 200, rosenbrock, stop).unwrap_err(), "cancelled");
        let short = run(vec![-1.2, 1.0], 2, rosenbrock, |_, _| ControlFlow::Continue(())).unwrap();
        assert!(!short.converged && short.iterations == 2);
    }
}
