//! The network between nodes: what happens to each message on its directed link.
//!
//! A link is reliable only by luck. Messages are lost, delayed, overtaken and
//! repeated, the copy possibly so late that the receiver has restarted since.
//! Partitions cut directed links; clogs hold a link's messages back; bandwidth
//! makes them queue. A damaged frame never arrives: peers speak through an
//! authenticated channel, and a frame that fails its authentication is dropped.

use crate::config::NetworkSettings;
use crate::rng::{Domain, Draw, Keyed};

/// When the copies of a message arrive. Both `None`: it is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fate {
    /// When it arrives.
    pub first: Option<u64>,
    /// When it arrives a second time.
    pub second: Option<u64>,
    /// Whether it was damaged and therefore dropped.
    pub damaged: bool,
}

/// What the network has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NetworkStats {
    /// Messages given to the network.
    pub sent: u64,
    /// Lost at random.
    pub lost: u64,
    /// Stopped by a cut link.
    pub cut: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Held back to be overtaken.
    pub reordered: u64,
    /// Damaged and dropped.
    pub damaged: u64,
}

impl NetworkStats {
    /// Adds another network's counts.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.lost += other.lost;
        self.cut += other.cut;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.damaged += other.damaged;
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Link {
    /// Partitions that cut it.
    cuts: u32,
    /// Nothing leaves before this time.
    clogged_until: u64,
    /// When the link has sent all that was queued, if bandwidth is limited.
    busy_until: u64,
    /// Messages so far: the counter of this link's decisions.
    count: u64,
}

/// A decision on one message that replaces the one drawn from the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DecisionKey {
    /// The domain's number.
    pub domain: u64,
    pub link: u64,
    /// The message's number on its link.
    pub number: u64,
}

/// All directed links between `slots` nodes.
#[derive(Debug, Clone)]
pub struct Network {
    slots: usize,
    links: Vec<Link>,
    loss: Keyed,
    latency: Keyed,
    duplicate: Keyed,
    corrupt: Keyed,
    /// Faults happen only while this is set; delays always do.
    faulty: bool,
    overrides: Vec<(DecisionKey, u64)>,
    /// What was decided so far, other than to deliver as usual.
    decisions: Vec<(DecisionKey, u64)>,
    /// What happened so far.
    pub stats: NetworkStats,
}

/// How long a damaged or lost link may hold messages back, as a factor of the mean.
const BIMODAL_SLOW_FACTOR: u64 = 20;

/// What a trace may ask for at most: one hour.
const DELAY_MAX_NS: u64 = 3_600_000_000_000;
/// Decisions that are remembered.
const DECISIONS_MAX: usize = 100_000;

impl Network {
    /// A whole network.
    pub fn new(seed: u64, slots: usize) -> Self {
        Self {
            slots,
            links: vec![Link::default(); slots * slots],
            loss: Keyed::new(seed, Domain::Loss),
            latency: Keyed::new(seed, Domain::Latency),
            duplicate: Keyed::new(seed, Domain::Duplicate),
            corrupt: Keyed::new(seed, Domain::Corrupt),
            faulty: true,
            overrides: Vec::new(),
            decisions: Vec::new(),
            stats: NetworkStats::default(),
        }
    }

    /// Replaces single decisions, for replays.
    pub fn set_overrides(&mut self, mut overrides: Vec<(DecisionKey, u64)>) {
        overrides.sort_unstable();
        self.overrides = overrides;
    }

    /// Losses, held back messages and copies so far, as overrides that repeat them.
    pub fn take_decisions(&mut self) -> Vec<(DecisionKey, u64)> {
        std::mem::take(&mut self.decisions)
    }

    /// Decides what happens to the next message of a link. `size` is its length
    /// in bytes as far as bandwidth is concerned.
    pub fn send(
        &mut self,
        config: &NetworkSettings,
        now: u64,
        from: usize,
        to: usize,
        size: u64,
    ) -> Fate {
        assert!(from != to, "a node does not send to itself");
        let id = self.link_id(from, to);
        let entity = u64::try_from(id).expect("few links");
        let link = &mut self.links[id];
        let number = link.count;
        link.count += 1;
        self.stats.sent += 1;
        if link.cuts > 0 {
            self.stats.cut += 1;
            return Fate::default();
        }
        let mut leaves = now.max(link.clogged_until);
        if let Some(takes) = (size * 1_000_000).checked_div(config.bandwidth_bytes_per_ms) {
            leaves = leaves.max(link.busy_until) + takes;
            link.busy_until = leaves;
        }
        if self.faulty && self.is_lost(config, entity, number) {
            self.stats.lost += 1;
            self.decided(Domain::Loss, entity, number, 1);
            return Fate::default();
        }
        if self.faulty && self.is_damaged(config, entity, number) {
            self.stats.damaged += 1;
            self.decided(Domain::Loss, entity, number, 1);
            return Fate {
                damaged: true,
                ..Fate::default()
            };
        }
        let draw = self.latency.at(entity, number);
        let first = leaves.saturating_add(self.delay(config, entity, number, draw));
        Fate {
            first: Some(first),
            second: self.second_copy(config, first, entity, number),
            damaged: false,
        }
    }

    /// Cuts a directed link. Cuts of several partitions add up.
    pub fn cut(&mut self, from: usize, to: usize) {
        let id = self.link_id(from, to);
        self.links[id].cuts += 1;
    }

    /// Takes one cut away.
    pub fn mend(&mut self, from: usize, to: usize) {
        let id = self.link_id(from, to);
        self.links[id].cuts = self.links[id].cuts.saturating_sub(1);
    }

    /// Holds everything that is sent on a link back until `until`.
    pub fn clog(&mut self, from: usize, to: usize, until: u64) {
        let id = self.link_id(from, to);
        self.links[id].clogged_until = self.links[id].clogged_until.max(until);
    }

    /// Whether messages can pass.
    pub fn is_open(&self, from: usize, to: usize) -> bool {
        self.links[self.link_id(from, to)].cuts == 0
    }

    /// Ends all faults: from now on links only delay.
    pub fn heal(&mut self) {
        self.faulty = false;
        for link in &mut self.links {
            link.cuts = 0;
            link.clogged_until = 0;
            link.busy_until = 0;
        }
    }

    /// The delay of a message between a client and a node: as on any link, but
    /// nothing is lost there (a client's timeout stands for that).
    pub fn client_delay(&self, config: &NetworkSettings, draw: Draw) -> u64 {
        sample_delay(config, draw)
    }

    fn link_id(&self, from: usize, to: usize) -> usize {
        assert!(
            from < self.slots && to < self.slots,
            "a link joins two known nodes"
        );
        from * self.slots + to
    }

    fn is_lost(&self, config: &NetworkSettings, link: u64, number: u64) -> bool {
        if config.loss_ppm == 0 && self.overrides.is_empty() {
            return false;
        }
        match self.overridden(Domain::Loss, link, number) {
            Some(value) => value != 0,
            None => self.loss.at(link, number).chance(ppm(config.loss_ppm)),
        }
    }

    fn is_damaged(&self, config: &NetworkSettings, link: u64, number: u64) -> bool {
        config.corrupt_ppm > 0
            && self
                .corrupt
                .at(link, number)
                .chance(ppm(config.corrupt_ppm))
    }

    fn delay(&mut self, config: &NetworkSettings, link: u64, number: u64, draw: Draw) -> u64 {
        if let Some(value) = self.overridden(Domain::Latency, link, number) {
            self.decided(Domain::Latency, link, number, value);
            return value.min(DELAY_MAX_NS);
        }
        let mut delay = sample_delay(config, draw);
        if self.faulty && config.reorder_ppm > 0 {
            let held = draw.again();
            if held.chance(ppm(config.reorder_ppm)) {
                self.stats.reordered += 1;
                delay += held.again().below(config.reorder_ms_max.max(1) * 1_000_000);
                self.decided(Domain::Latency, link, number, delay);
            }
        }
        delay
    }

    fn second_copy(
        &mut self,
        config: &NetworkSettings,
        first: u64,
        link: u64,
        number: u64,
    ) -> Option<u64> {
        if !self.faulty || (config.duplicate_ppm == 0 && self.overrides.is_empty()) {
            return None;
        }
        if let Some(late) = self.overridden(Domain::Duplicate, link, number) {
            self.stats.duplicated += 1;
            self.decided(Domain::Duplicate, link, number, late);
            return Some(first.saturating_add(late.min(DELAY_MAX_NS)));
        }
        let draw = self.duplicate.at(link, number);
        if !draw.chance(ppm(config.duplicate_ppm)) {
            return None;
        }
        self.stats.duplicated += 1;
        let late = draw
            .again()
            .below(config.duplicate_ms_max.max(1) * 1_000_000);
        self.decided(Domain::Duplicate, link, number, late);
        Some(first + late)
    }

    fn decided(&mut self, domain: Domain, link: u64, number: u64, value: u64) {
        if self.decisions.len() < DECISIONS_MAX {
            let key = DecisionKey {
                domain: domain as u64,
                link,
                number,
            };
            self.decisions.push((key, value));
        }
    }

    fn overridden(&self, domain: Domain, link: u64, number: u64) -> Option<u64> {
        if self.overrides.is_empty() {
            return None;
        }
        let key = DecisionKey {
            domain: domain as u64,
            link,
            number,
        };
        let at = self.overrides.binary_search_by_key(&key, |(key, _)| *key);
        at.ok().map(|at| self.overrides[at].1)
    }
}

/// A probability from a setting, in parts per million.
pub fn ppm(setting: u64) -> u32 {
    u32::try_from(setting.min(1_000_000)).expect("at most a million")
}

fn sample_delay(config: &NetworkSettings, draw: Draw) -> u64 {
    let base = config.delay_base_us * 1_000;
    let mean = config.delay_mean_us * 1_000;
    base + match config.delay_kind {
        0 => 0,
        1 => draw.below(mean * 2 + 1),
        2 => draw.exponential(mean),
        _ if draw.chance(50_000) => mean * BIMODAL_SLOW_FACTOR,
        _ => draw.below(mean / 2 + 1),
    }
}

#[cfg(test)]
#[path = "tests/network.rs"]
mod tests;
