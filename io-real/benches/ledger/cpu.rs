//! Processor time of this process, by the names of its threads.

use std::collections::BTreeMap;
use std::fs;

/// Nanoseconds that threads of each name have run. Other work on the machine
/// disturbs it little.
pub struct Cpu(BTreeMap<String, u64>);

impl Cpu {
    /// Up to now. Threads that have ended are missing.
    pub fn now() -> Self {
        let mut times = BTreeMap::new();
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
        for task in tasks.flatten() {
            let path = task.path();
            let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
            let stat = fs::read_to_string(path.join("schedstat")).unwrap_or_default();
            let ran = stat.split(' ').next().and_then(|field| field.parse().ok());
            *times.entry(name.trim().to_owned()).or_insert(0) += ran.unwrap_or(0_u64);
        }
        Self(times)
    }

    /// What has been added since.
    pub fn since(&self, before: &Self) -> Self {
        let added =
            |(name, now): (&String, &u64)| (name.clone(), now.saturating_sub(before.of(name)));
        Self(self.0.iter().map(added).collect())
    }

    /// Of the threads of one name.
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }
}
