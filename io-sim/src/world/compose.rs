//! Which actors and checkers a run has.

use super::World;
use super::clusters::Cluster;
use crate::actors::auditor::Auditor;
use crate::actors::governors::Governors;
use crate::actors::kv::Clients;
use crate::actors::ledger::LedgerClients;
use crate::actors::operators::Operators;
use crate::actors::watchers::Watchers;
use crate::check::ledger::LedgerChecker;
use crate::check::raft::ClusterSafety;
use crate::check::records::{OneOrder, Records};
use crate::check::watches::Watches;
use crate::check::{shape, shared};
use crate::subject::Subject;
use crate::workload::Workload;

impl<S: Subject> World<S> {
    /// Puts actors on the stage and checkers into the court. Checkers are asked in the
    /// order in which they are added.
    pub(super) fn compose(&mut self, workload: &Workload) {
        self.court.add(Box::new(shape::Stranger::default()));
        if self.has_ledger {
            self.compose_ledger(workload);
        }
        self.court.add(Box::new(shape::Bounded));
        let mut safety = ClusterSafety::new(self.hosts.len());
        for Cluster { names, slots, .. } in self.clusters.all() {
            safety.add(names.clone(), slots.clone());
        }
        self.court.add(Box::new(safety));
        for number in 0..self.clusters.len() {
            self.compose_cluster(number, workload);
        }
    }

    fn compose_ledger(&mut self, workload: &Workload) {
        let honest = self.hosts.iter().map(|host| host.is_honest()).collect();
        let verifier = self.authority.verifier();
        let (genesis, names) = (&self.genesis, self.names.clone());
        let judge = LedgerChecker::new(genesis, verifier, names, honest, &self.config);
        let judge = shared(judge);
        self.court.add(Box::new(judge.clone()));
        let clients = LedgerClients::new(
            self.seed,
            self.config.load.clone(),
            workload.clone(),
            &self.authority,
            (genesis.chain(), judge.clone()),
        );
        let topology = self.config.topology.clone();
        let governors = Governors::new(self.seed, topology, genesis.clone(), judge.clone());
        let is_pruned = self.config.ledger.retain_blocks > 0;
        let ids = self.stage.numbers_behind(0);
        self.stage.add(ids, Box::new(clients));
        let governors = self.stage.add(ids, Box::new(governors));
        self.stage.governors = Some(governors);
        self.stage
            .add(ids, Box::new(Auditor::new(judge, is_pruned)));
    }

    fn compose_cluster(&mut self, number: usize, workload: &Workload) {
        let cluster = &self.clusters.all()[number];
        let Cluster { config, seed, .. } = cluster;
        let (slots, names) = (cluster.slots.clone(), cluster.names.clone());
        let records = shared(Records {
            watches: Watches::new((0..config.load.watchers).map(|watcher| watcher % 2 == 0)),
            ..Records::default()
        });
        self.court.add(Box::new(OneOrder {
            cluster: cluster.id,
            records: records.clone(),
        }));
        let clients = Clients::new(
            *seed,
            config.load.clone(),
            workload.clone(),
            (config.contact_slots(), slots.clone(), names.clone()),
            records.clone(),
        );
        let watchers = Watchers::new(self.seed, number, slots.clone(), records);
        let ids = self.stage.numbers_behind(cluster.requests_behind);
        self.stage.add(ids, Box::new(clients));
        self.stage.add(ids, Box::new(watchers));
        let operators = Operators::new(slots, names);
        let operators = self.stage.add(ids, Box::new(operators));
        self.stage.operators.push(operators);
    }
}
