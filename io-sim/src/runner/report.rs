//! What runs report, for people.

use std::collections::BTreeMap;
use std::fmt;

use decube_core::io::Volume;
use decube_core::mutant::Mutant;
use decube_core::trace::Hex;

use super::RunSpec;
use crate::config::SimConfig;
use crate::disk::DiskStats;
use crate::network::{DecisionKey, NetworkStats};
use crate::plan::{Fault, FaultKind, VolumeFaults};
use crate::scenario::Scenario;
use crate::workload::Workload;
use crate::world::{Coverage, LeadersLost, Outcome};

/// One run and what decided it.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// What was asked for.
    pub spec: RunSpec,
    /// The settings.
    pub config: SimConfig,
    pub plan: Vec<Fault>,
    /// What clients did.
    pub workload: Workload,
    /// Decisions that were not the seed's.
    pub overrides: Vec<(DecisionKey, u64)>,
    /// What came of it.
    pub outcome: Outcome,
}

/// Many runs, by scenario.
#[derive(Debug, Clone, Default)]
pub struct SwarmReport {
    /// The runs of each scenario.
    pub scenarios: BTreeMap<Scenario, Tally>,
    /// The run that failed, explained.
    pub failure: Option<Box<RunReport>>,
}

/// What some runs did, all together.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// How many.
    pub runs: u64,
    /// The lowest and the highest seed.
    pub seeds: Option<(u64, u64)>,
    /// Steps of nodes.
    pub events: u64,
    /// Virtual time in nanoseconds.
    pub simulated: u64,
    /// Operations that clients completed.
    pub completed: u64,
    /// Faults injected, by [`FaultKind::ordinal`].
    pub faults: [u64; FaultKind::COUNT],
    /// Those of them that hit volumes.
    pub volume_faults: VolumeFaults,
    /// How often each cluster lost its leader.
    pub leaders_lost: LeadersLost,
    /// What networks did.
    pub network: NetworkStats,
    /// What disks did.
    pub disks: DiskStats,
    /// Situations met.
    pub coverage: Coverage,
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
        let seed = report.spec.seed;
        let tally = self.scenarios.entry(report.spec.scenario).or_default();
        tally.add(&Tally {
            runs: 1,
            seeds: Some((seed, seed)),
            events: outcome.events,
            simulated: outcome.simulated,
            completed: outcome.clients.completed,
            faults: outcome.faults,
            volume_faults: outcome.volume_faults,
            leaders_lost: outcome.leaders_lost,
            network: outcome.network,
            disks: outcome.disks,
            coverage: outcome.coverage,
        });
    }

    /// All scenarios together.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        for tally in self.scenarios.values() {
            total.add(tally);
        }
        total
    }
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        let seeds = [self.seeds, other.seeds].into_iter().flatten();
        self.seeds = seeds.reduce(|(low, high), (l, h)| (low.min(l), high.max(h)));
        self.events += other.events;
        self.simulated += other.simulated;
        self.completed += other.completed;
        for (total, count) in self.faults.iter_mut().zip(other.faults) {
            *total += count;
        }
        let hits = self.volume_faults.iter_mut().flatten();
        for (total, count) in hits.zip(other.volume_faults.iter().flatten()) {
            *total += count;
        }
        for (total, count) in self.leaders_lost.iter_mut().zip(other.leaders_lost) {
            *total += count;
        }
        self.network.add(&other.network);
        self.disks.add(&other.disks);
        self.coverage.add(&other.coverage);
    }

    /// The faults of the plan that hit a volume, by kind.
    pub fn faults_of(&self, volume: Volume) -> Vec<(&'static str, u64)> {
        let names = FaultKind::all().into_iter().map(|(_, name)| name);
        names.zip(self.volume_faults[volume as usize]).collect()
    }

    /// Every kind of fault with its count: those of the plan, and those that are drawn
    /// with each message or operation.
    pub fn faults(&self) -> Vec<(&'static str, u64)> {
        let planned = FaultKind::all().into_iter().map(|(_, name)| name);
        let mut all: Vec<_> = planned.zip(self.faults).collect();
        all.extend([
            ("messages lost", self.network.lost),
            ("doubled", self.network.duplicated),
            ("reordered", self.network.reordered),
            ("damaged", self.network.damaged),
            ("sectors lost", self.disks.sectors_lost),
            ("torn", self.disks.sectors_torn),
            ("syncs that lied", self.disks.lying_syncs),
            ("reads gone elsewhere", self.disks.misread),
            ("creations without space", self.disks.full),
        ]);
        all
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

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.seeds.unwrap_or_default();
        let faults = self.faults();
        let injected: u64 = faults.iter().map(|(_, count)| count).sum();
        writeln!(
            f,
            "{} runs of seeds {low} to {high}, {} events, {} s of virtual time, {} messages, {} operations answered, {injected} faults",
            self.runs,
            self.events,
            self.simulated / 1_000_000_000,
            self.network.sent,
            self.completed,
        )?;
        write_counts(f, "faults", faults)?;
        for volume in Volume::ALL {
            let what = format!("of them on the volume {}", volume.name());
            write_counts(f, &what, self.faults_of(volume))?;
        }
        Ok(())
    }
}

impl fmt::Display for SwarmReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (scenario, tally) in &self.scenarios {
            write!(f, "{}: {tally}", scenario.name())?;
        }
        let total = self.total();
        if self.scenarios.len() > 1 {
            write!(f, "all: {total}")?;
        }
        let marks = total.coverage.pairs();
        let (all, unmet) = (marks.len(), total.coverage.unmet());
        write_counts(f, "met", marks)?;
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

/// What did not occur is left out: a scenario has its own faults.
fn write_counts(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    counts: Vec<(&'static str, u64)>,
) -> fmt::Result {
    let met = counts.into_iter().filter(|(_, count)| *count > 0);
    let met: Vec<String> = met.map(|(name, count)| format!("{name} {count}")).collect();
    match met.is_empty() {
        true => writeln!(f, "{what}: none"),
        false => writeln!(f, "{what}: {}", met.join(", ")),
    }
}
