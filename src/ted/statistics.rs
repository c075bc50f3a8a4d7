//! The uncertainty of a number: the interval of an accuracy, the difference of two accuracies, a correlation.
//! I_x(a, b) is the regularized incomplete beta function; Phi^-1 the normal quantile.

use crate::error::{Error, Result};
use serde::Serialize;
use statrs::{
    distribution::{ContinuousCDF, Normal},
    function::beta::beta_reg,
};

/// A correlation and its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Correlation {
    /// The coefficient, -1 to 1.
    pub r: f64,
    /// The number of pairs.
    pub n: usize,
    /// The probability of a coefficient at least this far from 0 if there is no correlation.
    pub p: f64,
    /// The 95 % interval of the coefficient.
    pub interval: [f64; 2],
}

/// The 95 % score interval of `correct` out of `total`, as fractions; all of `[0, 1]` without items.
///
/// p = correct / n, z = Phi^-1(0.975): (p + z^2/2n -+ z sqrt(p (1 - p) / n + z^2/4n^2)) / (1 + z^2/n).
/// Wilson 1927, "Probable inference, the law of succession, and statistical inference".
pub fn wilson(correct: usize, total: usize) -> [f64; 2] {
    if total == 0 {
        return [0.0, 1.0];
    }
    let (n, z) = (total as f64, z());
    let p = correct as f64 / n;
    let center = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    // Exact at the ends, where rounding would leave 1e-17 or so.
    let low = if correct == 0 { 0.0 } else { (center - half) / scale };
    let high = if correct == total { 1.0 } else { (center + half) / scale };
    [low, high]
}

/// The two-sided p of McNemar's exact test, for `first_only` and `second_only` items that one of two encoders alone
/// gets right.
///
/// With n items and k the smaller count: min(1, 2 P(X <= k)), X ~ Binomial(n, 1/2).
/// P(X <= k) = I_1/2(n - k, k + 1), 26.5.24 in Abramowitz and Stegun.
/// McNemar 1947, "Note on the sampling error of the difference between correlated proportions".
pub fn mcnemar(first_only: usize, second_only: usize) -> f64 {
    let (less, more) = (first_only.min(second_only), first_only.max(second_only));
    // P(X <= k) is at least 1/2, by symmetry.
    if more - less <= 1 {
        return 1.0;
    }
    (2.0 * beta_reg(more as f64, less as f64 + 1.0, 0.5)).min(1.0)
}

/// Pearson's correlation of `x[i]` with `y[i]`.
/// The interval's variance of atanh(r) is 1 / (n - 3) (Fisher 1921).
///
/// # Errors
/// [`Error::Statistics`]: lists of two lengths, fewer than 3 pairs, equal values only, values not finite.
pub fn pearson(x: &[f64], y: &[f64]) -> Result<Correlation> {
    check(x, y)?;
    let r = coefficient(x, y)?;
    Ok(Correlation::new(r, x.len(), 1.0))
}

/// Spearman's correlation: Pearson's of the ranks, where equal values share the mean of their ranks.
/// The interval's variance of atanh(r) is (1 + r^2 / 2) / (n - 3) (Bonett and Wright 2000).
///
/// # Errors
/// As [`pearson`].
pub fn spearman(x: &[f64], y: &[f64]) -> Result<Correlation> {
    check(x, y)?;
    let r = coefficient(&ranks(x), &ranks(y))?;
    Ok(Correlation::new(r, x.len(), 1.0 + r * r / 2.0))
}

impl Correlation {
    /// p: Student's t with n - 2 degrees of freedom, t^2 = (n - 2) r^2 / (1 - r^2), whose two tails are
    /// I_{1 - r^2}((n - 2) / 2, 1/2).
    /// Interval: tanh(atanh(r) -+ z sqrt(variance / (n - 3))), all of `[-1, 1]` for 3 pairs.
    fn new(r: f64, n: usize, variance: f64) -> Self {
        let p = beta_reg((n - 2) as f64 / 2.0, 0.5, (1.0 - r) * (1.0 + r));
        let half = z() * (variance / (n - 3) as f64).sqrt();
        let interval =
            if n == 3 { [-1.0, 1.0] } else { [(r.atanh() - half).tanh(), (r.atanh() + half).tanh()] };
        Self { r, n, p, interval }
    }
}

/// Phi^-1(0.975) = 1.96: 95 % lie within -z and z.
fn z() -> f64 {
    Normal::standard().inverse_cdf(0.975)
}

fn check(x: &[f64], y: &[f64]) -> Result<()> {
    if x.len() != y.len() {
        return Err(wrong("lists of one length", format!("{} and {} values", x.len(), y.len())));
    }
    if x.len() < 3 {
        return Err(wrong("at least 3 pairs", x.len().to_string()));
    }
    if let Some(value) = x.iter().chain(y).find(|value| !value.is_finite()) {
        return Err(wrong("finite values", value.to_string()));
    }
    match [x, y].iter().find(|list| list.iter().all(|value| *value == list[0])) {
        Some(list) => Err(wrong("values that differ", format!("{} only", list[0]))),
        None => Ok(()),
    }
}

/// r = sum dx dy / sqrt(sum dx^2 sum dy^2), dx = x - mean(x).
fn coefficient(x: &[f64], y: &[f64]) -> Result<f64> {
    let (x, y) = (direction(x)?, direction(y)?);
    Ok(x.iter().zip(&y).map(|(x, y)| x * y).sum::<f64>().clamp(-1.0, 1.0))
}

/// `values` less their mean, of length 1.
fn direction(values: &[f64]) -> Result<Vec<f64>> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let length = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>().sqrt();
    if !length.is_normal() {
        return Err(wrong("a spread within the range of 64-bit numbers", length.to_string()));
    }
    Ok(values.iter().map(|value| (value - mean) / length).collect())
}

/// The ranks of `values`, from 1 on; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0;
    // -0 and 0 are equal values, and neighbors in this order.
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = below as f64 + (equal.len() + 1) as f64 / 2.0;
        equal.iter().for_each(|i| ranks[*i] = rank);
        below += equal.len();
    }
    ranks
}

fn wrong(expected: &'static str, found: String) -> Error {
    Error::Statistics { item: "the values".into(), expected, found }
}
