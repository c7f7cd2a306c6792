//! Clients: every request gets exactly one answer.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::request::{
    AccountView, LaneView, LedgerStatus, OperationLocation, Request, Response, TxState,
    ValidatorsView,
};
use super::{HeadAsk, ProofAsk, Purpose, Question, reply};
use crate::bft::Height;
use crate::ledger::chain::record::{
    FinalBlock, block_key, end_of, epoch_key, header_key, location_key, only,
};
use crate::ledger::effect::Effect;
use crate::ledger::execution::branch::Branch;
use crate::ledger::execution::executor::Invalid;
use crate::ledger::execution::ledger_state::LedgerState;
use crate::ledger::pool::Rejection;
use crate::ledger::state::{Ledger, Phase, Running};
use crate::ledger_types::{AccountId, Checked, Param, Sequence, TxId};
use crate::limits::{
    LEDGER_ANSWER_BYTES_MAX, LEDGER_FOLLOWERS_MAX, LEDGER_WAITS_MAX, STORE_READ_BYTES_MAX,
};
use crate::machine::Outbox;
use crate::types::RequestId;

/// A transaction that is refused and may be final already.
#[derive(Debug, Hash)]
pub(in crate::ledger) struct Again {
    pub(in crate::ledger) request: RequestId,
    wait: bool,
    rejection: Rejection,
    /// What names its operations. Each may be final by itself, in a bundle of others.
    ids: Vec<TxId>,
    /// How many of them are known to be final.
    known: usize,
    /// Where the first one stands.
    first: Option<OperationLocation>,
}

impl Again {
    const fn note(&mut self, located: OperationLocation) {
        self.known += 1;
        if self.first.is_none() {
            self.first = Some(located);
        }
    }
}

impl Ledger {
    pub(in crate::ledger) fn on_request(
        &mut self,
        id: RequestId,
        request: Request,
        out: &mut Outbox<Effect>,
    ) {
        let Phase::Running(running) = &self.phase else {
            return reply(id, Response::Unavailable, out);
        };
        if self.reads.is_full() {
            return reply(id, Response::Busy, out);
        }
        match request {
            Request::Submit { transaction, wait } => {
                let tip = running.tip().clone();
                self.submit(id, transaction, wait, &tip, out);
            }
            Request::Transaction { id: tx } => self.tell_state(id, tx, out),
            Request::Prove {
                id: tx,
                from,
                fresh,
            } => {
                let question = Question {
                    request: id,
                    id: tx,
                    proof: Some(ProofAsk { from, fresh }),
                };
                self.look_up(question, out);
            }
            Request::Block { height } => self.tell_block(id, height, out),
            Request::Header { height } => {
                let range = only(header_key(height));
                self.read(Purpose::Header(id), range, STORE_READ_BYTES_MAX, out);
            }
            Request::Validators => reply(id, validators(running.tip().ledger_state()), out),
            Request::Account { id: account } => {
                reply(id, self.account(account, running.tip()), out)
            }
            Request::Snapshot { id: name } => {
                let found = running.tip().ledger_state().snapshot(&name);
                let response = found.map_or(Response::NotFound, |entry| {
                    Response::Snapshot(Box::new(entry))
                });
                reply(id, response, out);
            }
            Request::Checkpoint { from, height, old } => {
                let ask = HeadAsk {
                    request: id,
                    from,
                    old,
                };
                self.tell_checkpoint(ask, height, out);
            }
            Request::Epochs { from } => {
                let range = (epoch_key(from), end_of(b'e'));
                self.read(Purpose::Epochs(id), range, LEDGER_ANSWER_BYTES_MAX, out);
            }
            Request::Status => reply(id, self.status(running), out),
            Request::Follow if self.followers.len() >= LEDGER_FOLLOWERS_MAX => {
                reply(id, Response::Busy, out);
            }
            Request::Follow => {
                self.followers.insert(id);
            }
        }
    }

    fn submit(
        &mut self,
        request: RequestId,
        bytes: Bytes,
        wait: bool,
        tip: &Branch,
        out: &mut Outbox<Effect>,
    ) {
        if wait && self.waits.len() >= LEDGER_WAITS_MAX {
            return reply(request, Response::Busy, out);
        }
        let admitted = match self.admit(bytes.clone(), self.config.node, tip) {
            Ok(admitted) => admitted,
            Err(rejection) => return self.submit_again(request, &bytes, wait, rejection, out),
        };
        if admitted.is_new {
            self.push.fresh.push(bytes);
            self.is_pool_changed = true;
        }
        let ids = admitted.transaction.ids().to_vec();
        if wait {
            let first = *ids.first().expect("a transaction has operations");
            let deadline = self.now.saturating_add(self.config.wait_timeout);
            self.waits.insert(request, first, deadline);
        } else {
            reply(request, Response::Accepted { ids }, out);
        }
    }

    /// What is refused now may be final since an earlier attempt: whoever did not hear of
    /// that is told, instead of that the place is taken. What names an operation is all
    /// that it says, so what is found by that is the same.
    fn submit_again(
        &mut self,
        request: RequestId,
        bytes: &Bytes,
        wait: bool,
        rejection: Rejection,
        out: &mut Outbox<Effect>,
    ) {
        let is_past = matches!(
            rejection,
            Rejection::Invalid(Invalid::Used(..) | Invalid::Expired(_))
        );
        let Some(transaction) = self.pool.decode(bytes).ok().filter(|_| is_past) else {
            return reply(request, Response::Rejected(rejection), out);
        };
        let again = Again {
            request,
            wait,
            rejection,
            ids: transaction.intent().ids().collect(),
            known: 0,
            first: None,
        };
        self.look_up_again(again, out);
    }

    /// Looks for the operations that are not known to be final, one after the other.
    fn look_up_again(&mut self, mut again: Again, out: &mut Outbox<Effect>) {
        while let Some(id) = again.ids.get(again.known).copied() {
            let Some(located) = self.recent.locate(&id) else {
                let range = only(location_key(&id));
                return self.read(Purpose::Again(Box::new(again)), range, 1, out);
            };
            again.note(located);
        }
        let first = again.first.expect("a transaction has operations");
        let response = match again.wait {
            true => Response::Transaction(TxState::Final(first)),
            false => Response::Accepted { ids: again.ids },
        };
        reply(again.request, response, out);
    }

    /// What the store says of the one that was looked for.
    pub(in crate::ledger) fn on_looked_up_again(
        &mut self,
        mut again: Again,
        found: Option<OperationLocation>,
        out: &mut Outbox<Effect>,
    ) {
        match found {
            Some(located) => {
                again.note(located);
                self.look_up_again(again, out);
            }
            None => reply(again.request, Response::Rejected(again.rejection), out),
        }
    }

    fn tell_state(&mut self, request: RequestId, id: TxId, out: &mut Outbox<Effect>) {
        if self.pool.find(&id).is_some() {
            return reply(request, Response::Transaction(TxState::Pending), out);
        }
        let question = Question {
            request,
            id,
            proof: None,
        };
        self.look_up(question, out);
    }

    fn tell_block(&mut self, request: RequestId, height: Option<Height>, out: &mut Outbox<Effect>) {
        let height = height.unwrap_or(self.storage.tip.height);
        if let Some(block) = self.recent.get(height) {
            return reply(request, Response::Block(block.clone()), out);
        }
        if self.is_pruned(height) {
            return reply(request, self.pruned(), out);
        }
        let range = only(block_key(height));
        self.read(Purpose::Block(request), range, STORE_READ_BYTES_MAX, out);
    }

    /// A final block as a signed head of the history before it.
    fn tell_checkpoint(&mut self, ask: HeadAsk, height: Option<Height>, out: &mut Outbox<Effect>) {
        let height = height.unwrap_or(self.storage.tip.height);
        if let Some(block) = self.recent.get(height).cloned() {
            return self.tell_history(ask, &block, out);
        }
        if self.is_pruned(height) {
            return reply(ask.request, self.pruned(), out);
        }
        self.read(
            Purpose::Head(ask),
            only(block_key(height)),
            STORE_READ_BYTES_MAX,
            out,
        );
    }

    fn account(&self, id: AccountId, tip: &Branch) -> Response {
        let ledger_state = tip.ledger_state();
        let account = ledger_state.account(&id);
        let mut lanes = self.pool.lanes(&id);
        lanes.extend(account.iter().flat_map(|account| account.lanes.keys()));
        let next = |lane| LaneView {
            lane,
            next: self.pool.next_sequence(&id, lane, ledger_state),
            next_final: account
                .as_ref()
                .map_or(Sequence(0), |account| account.next(lane)),
        };
        let blocks = ledger_state.params().get(Param::ValidBlocks);
        Response::Account(AccountView {
            id,
            exists: account.is_some(),
            lanes: lanes.into_iter().map(next).collect(),
            chain: self.chain,
            height: tip.height,
            valid_until_max: Height(tip.height.0.saturating_add(blocks)),
        })
    }

    fn status(&self, running: &Running) -> Response {
        let (bft, tip) = (&running.bft, running.tip());
        let bad = self.pool.bad_signatures();
        Response::Status(Box::new(LedgerStatus {
            node: self.config.node,
            chain: self.chain,
            genesis: self.config.genesis.hash(),
            epoch: bft.epoch().epoch,
            view: bft.view(),
            height: tip.height,
            hash: tip.hash,
            base: self.storage.pruning.base(),
            stuck_below: self.stuck_below(),
            state: tip.ledger_state().root(),
            time_ms: tip.time.0,
            is_validator: bft.validator().is_some(),
            is_voting: bft.validator().is_some() && bft.is_running() && !bft.is_silent(),
            pooled: self.pool.len(),
            pooled_bytes: self.pool.bytes(),
            evicted: self.pool.evicted(),
            final_blocks: self.finals.blocks,
            final_operations: self.finals.operations,
            waiting: self.waits.len(),
            bodies_asked: self.assembled().0,
            rejected: bft.rejected(),
            bad_signatures: bad.named().iter().map(|(node, n)| (*node, *n)).collect(),
            bad_signatures_of_others: bad.of_others(),
        }))
    }

    /// Operations are final: whoever waits for one is told.
    pub(in crate::ledger) fn answer_final(
        &mut self,
        located: &[(TxId, OperationLocation)],
        out: &mut Outbox<Effect>,
    ) {
        for (id, place) in located {
            for request in self.waits.take(id) {
                let state = TxState::Final(*place);
                reply(request, Response::Transaction(state), out);
            }
        }
    }

    /// A block is final: whoever follows is told.
    pub(in crate::ledger) fn tell_followers(
        &self,
        block: &Arc<FinalBlock>,
        out: &mut Outbox<Effect>,
    ) {
        for id in &self.followers {
            let response = Response::Block(block.clone());
            out.push(Effect::Stream { id: *id, response });
        }
    }

    /// Nothing follows for those who follow.
    pub(in crate::ledger) fn end_followers(
        &mut self,
        response: Response,
        out: &mut Outbox<Effect>,
    ) {
        for id in core::mem::take(&mut self.followers) {
            reply(id, response.clone(), out);
        }
    }

    /// A client is gone: what only waits is answered at once. A read that is under way
    /// is answered when it has completed.
    pub(in crate::ledger) fn cancel(&mut self, id: RequestId, out: &mut Outbox<Effect>) {
        if self.followers.remove(&id) || self.waits.remove(id).is_some() {
            reply(id, Response::Unavailable, out);
        }
    }

    /// A transaction cannot become final any more.
    pub(in crate::ledger) fn answer_expired(
        &mut self,
        transaction: &Checked,
        out: &mut Outbox<Effect>,
    ) {
        let last = transaction.intent().valid_until;
        let rejection = Invalid::Expired(last).into();
        for id in transaction.ids() {
            for request in self.waits.take(id) {
                reply(request, Response::Rejected(rejection), out);
            }
        }
    }

    pub(in crate::ledger) fn expire_waits(&mut self, out: &mut Outbox<Effect>) {
        while let Some((due, request)) = self.waits.deadlines.first().copied() {
            if due > self.now {
                return;
            }
            self.waits.remove(request);
            reply(request, Response::TimedOut, out);
        }
    }

    /// The node serves no more: nobody is left without an answer.
    pub(in crate::ledger) fn answer_all_unavailable(&mut self, out: &mut Outbox<Effect>) {
        let waiting: Vec<RequestId> = self.waits.by_request.keys().copied().collect();
        for request in waiting.into_iter().chain(self.reads.take_clients()) {
            self.waits.remove(request);
            reply(request, Response::Unavailable, out);
        }
        self.end_followers(Response::Unavailable, out);
    }
}

fn validators(ledger_state: &LedgerState) -> Response {
    let epoch = ledger_state.epoch();
    Response::Validators(Box::new(ValidatorsView {
        epoch: epoch.epoch,
        root_height: epoch.root_height,
        set: epoch.set().clone(),
        members: ledger_state.members().to_vec(),
        proposals: ledger_state.proposals(),
        params: ledger_state.params().clone(),
    }))
}
