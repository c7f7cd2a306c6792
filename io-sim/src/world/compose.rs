//! Puts the actors and checkers of a run together: one line for each kind.

use super::World;
use super::clusters::Cluster;
use crate::actors::Actor;
use crate::actors::auditor::Auditor;
use crate::actors::governors::Governors;
use crate::actors::kv::Clients;
use crate::actors::ledger::LedgerClients;
use crate::actors::operators::Operators;
use crate::actors::watchers::Watchers;
use crate::cast::{Cast, Checkers, OfCluster, OfLedger};
use crate::check::ledger::LedgerChecker;
use crate::check::raft::ClusterSafety;
use crate::check::records::{OneOrder, Records};
use crate::check::watches::Watches;
use crate::check::{Shared, shape, shared};
use crate::subject::Subject;
use crate::workload::Workload;

/// What actors and checkers share.
struct Props {
    workload: Workload,
    /// The judge of the ledger, whom clients tell what they were told.
    judge: Shared<LedgerChecker>,
    /// What is seen of each cluster.
    records: Vec<Shared<Records>>,
}

impl<S: Subject> World<S> {
    /// Puts actors on the stage and checkers into the court.
    pub(super) fn compose(&mut self, cast: &Cast, workload: Workload) {
        let props = Props {
            workload,
            judge: shared(self.judge_of_ledger()),
            records: self.clusters.all().iter().map(records_of).collect(),
        };
        for checkers in &cast.checkers {
            self.seat(*checkers, &props);
        }
        let ids = self.stage.numbers_behind(0);
        for actors in &cast.of_ledger {
            self.engage(*actors, ids, &props);
        }
        for number in 0..self.clusters.len() {
            let behind = self.clusters.all()[number].requests_behind;
            let ids = self.stage.numbers_behind(behind);
            for actors in &cast.of_clusters {
                self.engage_in_cluster(*actors, ids, number, &props);
            }
        }
    }

    fn seat(&mut self, checkers: Checkers, props: &Props) {
        match checkers {
            Checkers::Strangers => self.court.add(Box::new(shape::Stranger::default())),
            Checkers::Refusals => self.court.add(Box::new(shape::Unavailable)),
            Checkers::Ledger => self.court.add(Box::new(props.judge.clone())),
            Checkers::Bounds => self.court.add(Box::new(shape::Bounded)),
            Checkers::Consensus => {
                let mut safety = ClusterSafety::new(self.hosts.len());
                for Cluster { names, slots, .. } in self.clusters.all() {
                    safety.add(names.clone(), slots.clone());
                }
                self.court.add(Box::new(safety));
            }
            Checkers::OneOrder => {
                for (cluster, records) in self.clusters.all().iter().zip(&props.records) {
                    self.court.add(Box::new(OneOrder {
                        cluster: cluster.id,
                        records: records.clone(),
                    }));
                }
            }
        }
    }

    fn engage(&mut self, actors: OfLedger, ids: usize, props: &Props) {
        let judge = props.judge.clone();
        let (seed, config, genesis) = (self.seed, &self.config, &self.genesis);
        let actor: Box<dyn Actor<S>> = match actors {
            OfLedger::Clients => Box::new(LedgerClients::new(
                seed,
                config.load.clone(),
                props.workload.clone(),
                &self.authority,
                genesis.chain(),
                judge,
            )),
            OfLedger::Governors => {
                let topology = config.topology.clone();
                Box::new(Governors::new(seed, topology, genesis.clone(), judge))
            }
            OfLedger::Auditor => Box::new(Auditor::new(judge, config.ledger.retain_blocks > 0)),
        };
        let number = self.stage.add(ids, actor);
        if actors == OfLedger::Governors {
            self.stage.governors = Some(number);
        }
    }

    fn engage_in_cluster(&mut self, actors: OfCluster, ids: usize, number: usize, props: &Props) {
        let Cluster {
            config,
            seed,
            slots,
            names,
            ..
        } = &self.clusters.all()[number];
        let (slots, names) = (slots.clone(), names.clone());
        let records = props.records[number].clone();
        let actor: Box<dyn Actor<S>> = match actors {
            OfCluster::Clients => Box::new(Clients::new(
                *seed,
                config.load.clone(),
                props.workload.clone(),
                config.contact_slots(),
                slots,
                names,
                records,
            )),
            OfCluster::Watchers => Box::new(Watchers::new(self.seed, number, slots, records)),
            OfCluster::Operators => Box::new(Operators::new(slots, names)),
        };
        let actor = self.stage.add(ids, actor);
        if actors == OfCluster::Operators {
            self.stage.operators.insert(number, actor);
        }
    }

    fn judge_of_ledger(&self) -> LedgerChecker {
        let honest = self.hosts.iter().map(|host| host.is_honest()).collect();
        let verifier = self.authority.verifier();
        let names = self.names.clone();
        LedgerChecker::new(&self.genesis, verifier, names, honest, &self.config)
    }
}

/// Where watchers of a cluster begin: every other one at the first revision.
fn records_of(cluster: &Cluster) -> Shared<Records> {
    let watchers = 0..cluster.config.load.watchers;
    shared(Records {
        watches: Watches::new(watchers.map(|watcher| watcher % 2 == 0)),
        ..Records::default()
    })
}
