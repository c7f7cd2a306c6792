//! What is read off a run in virtual time, whoever ran: one reckoning for all.

use std::collections::{BTreeMap, BTreeSet};

use crate::quantile;

/// Blocks at the beginning that are left out.
const WARM_UP: usize = 10;

/// What one run has shown. Times are in nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// When each block was proposed first, by a number of its own.
    pub proposed: BTreeMap<u64, u64>,
    /// What each living validator knew to be final, in order, and when.
    pub committed: Vec<Vec<(u64, u64)>>,
    /// That the blocks that were wanted never came.
    pub stalled: bool,
}

/// What it says, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Finality {
    /// From a proposal's leaving until a validator knows the block to be final: half
    /// of all.
    pub p50: f64,
    /// Of a hundred, 99.
    pub p99: f64,
    /// Between two blocks at a validator: the mean.
    pub pause: f64,
    /// The longest of these.
    pub longest: f64,
    /// Of a hundred proposals, so many were never final.
    pub lost: f64,
}

impl Seen {
    /// How fast, and how steadily, blocks were final.
    pub fn finality(&self) -> Finality {
        let (mut finality, mut pauses) = (Vec::new(), Vec::new());
        let millis = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e6;
        for list in self.committed.iter().filter(|list| list.len() > WARM_UP) {
            for pair in list[WARM_UP - 1..].windows(2) {
                let [(_, before), (block, at)] = pair else {
                    unreachable!("windows of two");
                };
                finality.push(millis(self.proposed[block], *at));
                pauses.push(millis(*before, *at));
            }
        }
        Finality {
            p50: quantile(&mut finality, 50),
            p99: quantile(&mut finality, 99),
            pause: pauses.iter().sum::<f64>() / pauses.len() as f64,
            longest: quantile(&mut pauses, 100),
            lost: self.lost(),
        }
    }

    /// Of the proposals that are older than the newest final block.
    fn lost(&self) -> f64 {
        let lists = || self.committed.iter().flatten();
        let final_ones: BTreeSet<u64> = lists().map(|(block, _)| *block).collect();
        let newest = lists().map(|(block, _)| self.proposed[block]).max();
        let old = self
            .proposed
            .iter()
            .filter(|(_, at)| newest.is_some_and(|newest| **at <= newest));
        let (total, lost) = old.fold((0_u32, 0_u32), |(total, lost), (block, _)| {
            (total + 1, lost + u32::from(!final_ones.contains(block)))
        });
        f64::from(lost) * 100.0 / f64::from(total.max(1))
    }

    /// From this moment until something was final again at a validator: the first and
    /// the last of them, in milliseconds.
    pub fn after(&self, healed: u64) -> Option<(f64, f64)> {
        let first = |list: &Vec<(u64, u64)>| {
            let behind = list.iter().find(|(_, at)| *at >= healed)?;
            Some((behind.1 - healed) as f64 / 1e6)
        };
        let waits: Option<Vec<f64>> = self.committed.iter().map(first).collect();
        let mut waits = waits.filter(|waits| !waits.is_empty())?;
        Some((quantile(&mut waits, 0), quantile(&mut waits, 100)))
    }
}
