//! Medians, because other work on the machine only ever makes a run slower.

/// The median of several runs and the range that they spread over.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// The middle run.
    pub median: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
}

impl Spread {
    /// Of the values of all runs.
    ///
    /// # Panics
    /// If there are none.
    pub fn of(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "at least one run");
        values.sort_by(f64::total_cmp);
        Self {
            median: values[values.len() / 2],
            min: values[0],
            max: values[values.len() - 1],
        }
    }
}

/// The value that `share` of the sorted values do not exceed; infinite if there
/// is none, since then nothing ended in time.
pub fn percentile(sorted: &[u32], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share) as usize;
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(at.min(last))
        .map_or(f64::INFINITY, |value| f64::from(*value))
}
