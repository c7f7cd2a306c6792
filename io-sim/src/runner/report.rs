//! What runs report, for people.

use std::fmt;

use decube_core::mutant::Mutant;
use decube_core::trace::Hex;

use super::RunSpec;
use crate::config::SimConfig;
use crate::disk::DiskStats;
use crate::network::{DecisionKey, NetworkStats};
use crate::plan::{Fault, FaultKind};
use crate::workload::Workload;
use crate::world::{Coverage, Outcome};

/// One run and what decided it.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// What was asked for.
    pub spec: RunSpec,
    /// The settings.
    pub config: SimConfig,
    /// The faults.
    pub plan: Vec<Fault>,
    /// What clients did.
    pub workload: Workload,
    /// Decisions that were not the seed's.
    pub overrides: Vec<(DecisionKey, u64)>,
    /// What came of it.
    pub outcome: Outcome,
}

/// Many runs.
#[derive(Debug, Clone, Default)]
pub struct SwarmReport {
    /// How many.
    pub runs: u64,
    /// The lowest and the highest seed.
    pub seeds: Option<(u64, u64)>,
    /// Steps of nodes, all together.
    pub events: u64,
    /// Virtual time in nanoseconds, all together.
    pub simulated: u64,
    /// Operations that clients completed.
    pub completed: u64,
    /// Messages given to networks.
    pub messages: u64,
    /// Faults injected, by [`FaultKind::ordinal`].
    pub faults: [u64; FaultKind::COUNT],
    /// What networks did, all together.
    pub network: NetworkStats,
    /// What disks did, all together.
    pub disks: DiskStats,
    /// Situations met.
    pub coverage: Coverage,
    /// The run that failed, explained.
    pub failure: Option<Box<RunReport>>,
}

/// The planted bug with this name, as the enumeration spells it.
pub fn mutant_from_name(name: &str) -> Option<Mutant> {
    let mut all = Mutant::ALL.into_iter().chain([Mutant::None]);
    all.find(|mutant| format!("{mutant:?}") == name)
}

impl RunReport {
    /// The command that runs this seed again.
    pub fn command(&self) -> String {
        // Planted bugs are only in builds that ask for them.
        let features = match self.spec.mutant {
            Mutant::None => "",
            _ => " --features mutants",
        };
        let mut command = format!(
            "cargo run -q -p node{features} -- sim run --scenario {} --seed {}",
            self.spec.scenario.name(),
            self.spec.seed
        );
        for (name, value) in &self.spec.settings {
            command += &format!(" --set {name}={value}");
        }
        if self.spec.mutant != Mutant::None {
            command += &format!(" --mutant {:?}", self.spec.mutant);
        }
        command
    }

    /// The command that runs this seed again as a test.
    pub fn test_command(&self) -> String {
        format!(
            "DECUBE_SCENARIO={} DECUBE_SEED={} cargo test -p sim-tests --test swarm",
            self.spec.scenario.name(),
            self.spec.seed
        )
    }
}

impl SwarmReport {
    /// Adds one run.
    pub fn add(&mut self, report: &RunReport) {
        let outcome = &report.outcome;
        self.runs += 1;
        let seed = report.spec.seed;
        let (low, high) = self.seeds.unwrap_or((seed, seed));
        self.seeds = Some((low.min(seed), high.max(seed)));
        self.events += outcome.events;
        self.simulated += outcome.simulated;
        self.completed += outcome.clients.completed;
        self.messages += outcome.network.sent;
        for (total, count) in self.faults.iter_mut().zip(outcome.faults) {
            *total += count;
        }
        self.network.add(&outcome.network);
        self.disks.add(&outcome.disks);
        self.coverage.add(&outcome.coverage);
    }

    /// Faults of all kinds.
    pub fn faults_total(&self) -> u64 {
        let planned: u64 = self.faults.iter().sum();
        let small: u64 = self.small_faults().iter().map(|(_, count)| count).sum();
        planned + small
    }

    /// Faults that are not planned but drawn with each message or operation.
    pub const fn small_faults(&self) -> [(&'static str, u64); 9] {
        [
            ("messages lost", self.network.lost),
            ("doubled", self.network.duplicated),
            ("reordered", self.network.reordered),
            ("damaged", self.network.damaged),
            ("sectors lost", self.disks.sectors_lost),
            ("torn", self.disks.sectors_torn),
            ("syncs that lied", self.disks.lies),
            ("reads gone elsewhere", self.disks.misread),
            ("creations without space", self.disks.full),
        ]
    }
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = &self.outcome;
        let name = self.spec.scenario.name();
        writeln!(f, "{name} seed {}: {}", self.spec.seed, self.config)?;
        writeln!(
            f,
            "{} events, {} ms of virtual time, {} committed entries, {} operations answered, digest {}",
            outcome.events,
            outcome.simulated / 1_000_000,
            outcome.committed,
            outcome.clients.completed,
            Hex(&outcome.digest)
        )?;
        for line in &outcome.lines {
            writeln!(f, "{line}")?;
        }
        if let Some(violation) = &outcome.violation {
            writeln!(f, "VIOLATION: {violation}")?;
            writeln!(f, "replay: {}", self.command())?;
            writeln!(f, "or:     {}", self.test_command())?;
        }
        Ok(())
    }
}

impl fmt::Display for SwarmReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.seeds.unwrap_or_default();
        writeln!(
            f,
            "{} runs of seeds {low} to {high}, {} events, {} s of virtual time, {} messages, {} operations answered, {} faults",
            self.runs,
            self.events,
            self.simulated / 1_000_000_000,
            self.messages,
            self.completed,
            self.faults_total()
        )?;
        write!(f, "faults:")?;
        for ((_, word), count) in FaultKind::all().iter().zip(self.faults) {
            write!(f, " {word} {count},")?;
        }
        for (word, count) in self.small_faults() {
            write!(f, " {word} {count},")?;
        }
        writeln!(f)?;
        write!(f, "met:")?;
        for (name, count) in self.coverage.pairs() {
            write!(f, " {name} {count},")?;
        }
        writeln!(f)?;
        let all = self.coverage.pairs().len();
        let unmet = self.coverage.unmet();
        write!(f, "marks: {} of {all} met", all - unmet.len())?;
        match unmet.is_empty() {
            true => writeln!(f)?,
            false => writeln!(f, "; never: {}", unmet.join(", "))?,
        }
        match &self.failure {
            None => Ok(()),
            Some(failure) => write!(f, "{failure}"),
        }
    }
}
