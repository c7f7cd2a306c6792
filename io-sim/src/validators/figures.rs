//! What is read off a run. Whole numbers only.

use decube_core::types::{Span, Time};

use super::{Setup, Track, Validators};

/// Blocks at the beginning that are left out: the first views have no view before.
const WARM_UP: usize = 10;

/// How often a client hands something in, to find the worst moment for it.
const CLIENT_EVERY: Span = Span::from_millis(7);

/// Delays are counted in hundredths.
pub const HUNDREDTHS: u64 = 100;

/// Quantiles of a list of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// Half are not above this.
    pub p50: u64,
    /// Of a hundred, 99 are not above this.
    pub p99: u64,
    /// None is above this.
    pub max: u64,
}

/// What a run has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Blocks that were looked at.
    pub blocks: u64,
    /// From the moment a proposal leaves until a validator has committed it, over
    /// all blocks and living validators, in nanoseconds.
    pub finality: Latency,
    /// The same in hundredths of a message delay. Three delays are what the block
    /// would take if proposal, votes to notarise and votes to finalise all left at
    /// the earliest moment and took what the distances say.
    pub delays: Latency,
    /// From the moment a client hands something to a validator until that one has
    /// committed it, in nanoseconds: its way to the leaders, the wait for a leader
    /// that lives, and finality.
    pub client: Latency,
    /// Between two blocks, at a validator, in nanoseconds.
    pub pause: Latency,
    /// Messages per final block, of all validators together.
    pub messages: u64,
    /// Bytes per final block, of all validators together.
    pub bytes: u64,
}

impl Latency {
    fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let Some(last) = values.len().checked_sub(1) else {
            return Self::default();
        };
        Self {
            p50: values[last / 2],
            p99: values[last * 99 / 100],
            max: values[last],
        }
    }
}

impl Validators {
    /// What the run has shown so far.
    pub fn figures(&self) -> Figures {
        let mut tracks: Vec<&Track> = self
            .tracks
            .values()
            .filter(|track| self.living().all(|node| track.committed[node].is_some()))
            .collect();
        tracks.sort_by_key(|track| track.height);
        let seen = u64::try_from(tracks.len()).expect("a count").max(1);
        let tracks = &tracks[WARM_UP.min(tracks.len())..];
        let (mut finality, mut delays) = (Vec::new(), Vec::new());
        for track in tracks {
            let best = self.best(track.proposer);
            for node in self.living() {
                let at = track.committed[node].expect("filtered above");
                let took = at.saturating_since(track.proposed).0;
                finality.push(took);
                delays.push((took * 3 * HUNDREDTHS).div_ceil(best[node].max(1)));
            }
        }
        Figures {
            blocks: u64::try_from(tracks.len()).expect("a count"),
            finality: Latency::of(finality),
            delays: Latency::of(delays),
            client: Latency::of(self.clients(tracks)),
            pause: Latency::of(self.pauses(tracks)),
            messages: self.messages / seen,
            bytes: self.bytes / seen,
        }
    }

    /// From the end of the partition until each living validator has committed
    /// something again, in nanoseconds: the first and the last of them.
    pub fn after_partition(&self) -> Option<(u64, u64)> {
        let (_, end) = self.setup.faults.partition?;
        let healed = Time::ZERO.saturating_add(end);
        let first = |node: usize| {
            let times = self.tracks.values().filter_map(|one| one.committed[node]);
            times.filter(|at| *at >= healed).min()
        };
        let waits: Option<Vec<u64>> = self
            .living()
            .map(|node| Some(first(node)?.saturating_since(healed).0))
            .collect();
        let waits = waits?;
        Some((*waits.iter().min()?, *waits.iter().max()?))
    }

    /// All blocks that were proposed, in no order.
    pub fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.tracks.values()
    }

    /// Those that run.
    pub fn living(&self) -> impl Iterator<Item = usize> + '_ {
        let Setup { count, faults, .. } = &self.setup;
        (0..*count).filter(|node| !faults.crashed.contains(node))
    }

    /// The earliest moment at which each validator can know that a block of this
    /// leader is final, counted from the proposal.
    fn best(&self, leader: usize) -> Vec<u64> {
        let distance = |from, to| self.setup.distance.between(from, to).0;
        let count = self.setup.count;
        let voted: Vec<u64> = (0..count).map(|node| distance(leader, node)).collect();
        let notarised = self.after_quorum(&voted);
        self.after_quorum(&notarised)
    }

    /// When votes that leave at these times have reached each validator from a
    /// quorum of the living.
    fn after_quorum(&self, sent: &[u64]) -> Vec<u64> {
        let quorum = self.setup.count * 2 / 3 + 1;
        let arrival = |to| {
            let mut times: Vec<u64> = self
                .living()
                .map(|from| sent[from] + self.setup.distance.between(from, to).0)
                .collect();
            times.sort_unstable();
            times[quorum - 1]
        };
        (0..self.setup.count).map(arrival).collect()
    }

    /// Waits of clients that submit something at each living validator again and
    /// again. It is in the first block whose leader had heard of it.
    fn clients(&self, tracks: &[&Track]) -> Vec<u64> {
        let mut waits = Vec::new();
        let [first, .., last] = tracks else {
            return waits;
        };
        let mut at = first.built;
        while at + Span::from_secs(1) < last.built {
            for node in self.living() {
                let knows = |track: &Track| {
                    let way = self.setup.distance.between(node, track.proposer);
                    track.built >= at.saturating_add(way)
                };
                // Heights rise with the time at which blocks are built.
                let place = tracks.partition_point(|track| track.built < at);
                if let Some(track) = tracks[place..].iter().find(|track| knows(track)) {
                    let done: Time = track.committed[node].expect("filtered above");
                    waits.push(done.saturating_since(at).0);
                }
            }
            at = at.saturating_add(CLIENT_EVERY);
        }
        waits
    }

    fn pauses(&self, tracks: &[&Track]) -> Vec<u64> {
        let pairs = tracks.windows(2);
        let at = |track: &Track, node: usize| track.committed[node].expect("filtered above");
        pairs
            .flat_map(|pair| {
                self.living()
                    .map(|node| at(pair[1], node).saturating_since(at(pair[0], node)).0)
            })
            .collect()
    }
}
