//! Every order in which four validators can hear each other over the first views,
//! one of them a Byzantine validator.
//!
//! The validators are the real ones. What the search adds is only the world: a
//! network that keeps every message forever and delivers any of them at any time
//! or never, deadlines that come whenever they like, and an adversary that holds
//! the Byzantine validator's key, signs every statement there is, and leads one view with several
//! blocks. A disk answers at once; a crash, where allowed, brings a validator back
//! from it.
//!
//! # What makes it small
//! - What is sent follows from the states of the senders, since nothing leaves the
//!   network. So a state of the world is the state of each validator, by its digest
//!   and what it has signed, and that says what is in flight.
//! - A validator that has sent nothing new changes nothing for the others. So the
//!   orders that are tried are those of what is *sent*: between two votes of a
//!   validator every order of what it hears is tried once, and where hearing more
//!   can as well wait until after the vote, it waits.
//! - A validator's answer to an event depends on its own state alone: each is
//!   computed once.
//! - With [`Grain::Certs`] votes are delivered as certificates of all who signed,
//!   whether they are a quorum or not. Less than a quorum of votes changes what a
//!   validator signs only by waking it, which the free deadlines do as well.
//!   [`Grain::Votes`] delivers each vote by itself, and certificates too.
//! - Repetition, help and questions are left out: what they bring is in the
//!   network already. Proposals travel without certificates for the same reason.
//!
//! The laws are about what is signed, and are stated here again: one block per view
//! can be notarised, no view can be given up and finalised, all that can be final
//! lies on one chain, and no honest validator signs what contradicts itself.

extern crate std;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::solo::{Keys, machine};
use crate::bft::gate::Gate;
use crate::bft::*;
use crate::codec::{Encode as _, Writer};
use crate::crypto::{Digest, sha256};
use crate::limits::PERSISTS_PENDING_MAX;
use crate::machine::{Machine as _, Outbox};
use crate::mutant::Mutant;
use crate::types::Time;

/// When everything happens.
const NOW: Time = Time(1_000_000_000_000);
/// States beyond which a search gives up. None may come so far.
const STATES_MAX: usize = 30_000_000;
/// Events are numbers: a block, a statement with its honest signers, a statement
/// with one signer, a deadline, a crash.
const CERTS: usize = 64;
const VOTES: usize = CERTS + 64 * 8;
const TIMEOUT: usize = VOTES + 64 * 4;
const CRASH: usize = TIMEOUT + 1;

/// How votes travel.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Grain {
    Certs,
    Votes,
}

/// What is searched.
#[derive(Debug, Clone, Copy)]
struct Bound {
    views: u64,
    /// The view that the Byzantine validator leads.
    deviates_in: u64,
    grain: Grain,
    /// Crashes of each honest validator, at any moment.
    crashes: u8,
}

/// What was found.
#[derive(Debug, Default)]
#[expect(dead_code, reason = "printed")]
struct Found {
    states: usize,
    transitions: u64,
    locals: usize,
    blocks: usize,
    committed: usize,
}

/// One validator in one of its states.
#[derive(Clone)]
struct Local {
    who: usize,
    bft: Bft,
    /// Statements that it has signed and blocks that it has proposed, as bits.
    signed: u64,
    proposed: u64,
    /// The blocks that it has committed, by number.
    chain: Vec<usize>,
    log: Vec<Record>,
    crashes: u8,
}

struct World {
    keys: Keys,
    honest: Vec<u16>,
    byzantine: u16,
    bound: Bound,
    mutant: Mutant,
    blocks: Vec<Block>,
    /// Blocks of the Byzantine validator, as bits.
    deviations: u64,
    statements: Vec<Statement>,
    /// For each statement, those that cannot be certified beside it.
    excluded: Vec<u64>,
    locals: Vec<Local>,
    known: BTreeMap<Digest, u32>,
    /// What each state becomes by each event.
    becomes: Vec<BTreeMap<usize, u32>>,
    /// What each state can come to sign next, by what is in the network.
    reaches: BTreeMap<(u32, Network), Vec<u32>>,
    transitions: u64,
    /// Why the search is over, if a law was broken.
    broken: Option<String>,
}

impl World {
    fn new(bound: Bound, mutant: Mutant) -> Self {
        let keys = Keys::new(&[1; 4]);
        let byzantine = keys.leader(bound.deviates_in);
        let mut world = Self {
            honest: keys.without(&[byzantine]),
            byzantine,
            keys,
            bound,
            mutant,
            blocks: Vec::new(),
            deviations: 0,
            statements: Vec::new(),
            excluded: Vec::new(),
            locals: Vec::new(),
            known: BTreeMap::new(),
            becomes: Vec::new(),
            reaches: BTreeMap::new(),
            transitions: 0,
            broken: None,
        };
        for view in 1..=bound.views {
            let null = world.keys.null(view);
            world.statement(null);
        }
        let root = world.keys.epoch.root();
        world.deviate_on(root);
        world
    }

    /// The Byzantine validator proposes a block on everything that comes before its view, and two
    /// on the root if there is nothing else.
    fn deviate_on(&mut self, parent: BlockRef) {
        let view = self.bound.deviates_in;
        if parent.view >= View(view) || view > self.bound.views {
            return;
        }
        let names: &[&[u8]] = if view == 1 {
            &[b"one", b"two"]
        } else {
            &[b"one"]
        };
        for name in names {
            let block = self.keys.block(view, parent, &[name]);
            let number = self.block(&block);
            self.deviations |= 1 << number;
        }
    }

    /// The number of a block.
    fn block(&mut self, block: &Block) -> usize {
        if let Some(number) = self.blocks.iter().position(|one| one == block) {
            return number;
        }
        self.blocks.push(block.clone());
        for kind in [VoteKind::Notarize, VoteKind::Finalize] {
            self.statement(self.keys.on(kind, block));
        }
        let number = self.blocks.len() - 1;
        self.deviate_on(block.place());
        assert!(self.blocks.len() <= 30, "blocks are bits");
        number
    }

    /// The number of a statement.
    fn statement(&mut self, statement: Statement) -> usize {
        if let Some(number) = self.statements.iter().position(|one| *one == statement) {
            return number;
        }
        let number = self.statements.len();
        let mut excluded = 0;
        for (other, before) in self.statements.clone().iter().enumerate() {
            if self.excludes(&statement, before) {
                excluded |= 1 << other;
                self.excluded[other] |= 1 << number;
            }
        }
        self.statements.push(statement);
        self.excluded.push(excluded);
        number
    }

    /// Whether these two cannot both be certified.
    fn excludes(&self, one: &Statement, other: &Statement) -> bool {
        let same_view = one.view() == other.view();
        match (one.kind, other.kind) {
            (VoteKind::Notarize, VoteKind::Notarize) => same_view,
            (VoteKind::Nullify, VoteKind::Finalize) | (VoteKind::Finalize, VoteKind::Nullify) => {
                same_view
            }
            (VoteKind::Finalize, VoteKind::Finalize) => {
                let rests = |low: &Statement, high: &Statement| {
                    self.ancestry(high.block.hash).contains(&low.block.hash)
                };
                !rests(one, other) && !rests(other, one)
            }
            _ => false,
        }
    }

    /// A block and all before it.
    fn ancestry(&self, hash: Digest) -> Vec<Digest> {
        let mut all = vec![hash];
        let mut next = hash;
        while let Some(block) = self.blocks.iter().find(|block| block.hash() == next) {
            next = block.header().parent;
            all.push(next);
        }
        all
    }

    /// The number of a validator's state.
    fn local(&mut self, mut local: Local) -> u32 {
        // What only says when something was repeated does not matter here.
        let bft = &mut local.bft;
        bft.gate = Gate::new(PERSISTS_PENDING_MAX, self.mutant);
        bft.peers.clear();
        bft.catch_up = Default::default();
        bft.peers_asked = 0;
        bft.timers.relay = None;
        // Something always waits here, so nobody rests.
        bft.timers.idle_hold = None;
        bft.rounds
            .values_mut()
            .for_each(|round| round.asked_at = None);
        let mut writer = Writer::new();
        writer.u128(bft.digest());
        writer.length(local.who);
        writer.u64(local.signed);
        writer.u64(local.proposed);
        writer.u8(local.crashes);
        local.chain.iter().for_each(|block| writer.length(*block));
        let kept: BTreeSet<Vec<u8>> = local.log.iter().map(essence).collect();
        kept.iter().for_each(|record| writer.blob(record));
        let key = sha256(writer.as_slice());
        if let Some(number) = self.known.get(&key) {
            return *number;
        }
        self.judge(&local);
        let number = u32::try_from(self.locals.len()).unwrap();
        assert!(number < 1 << 21, "three numbers fit one word");
        self.locals.push(local);
        self.becomes.push(BTreeMap::new());
        self.known.insert(key, number);
        number
    }

    /// What one validator must never sign, and that it does not stop.
    fn judge(&mut self, local: &Local) {
        let mut signed = BTreeSet::new();
        for number in bits(local.signed) {
            let statement = &self.statements[number];
            let view = statement.view();
            if !signed.insert((view, statement.kind)) {
                self.broken = Some("I5: two votes of one kind and view".into());
            }
            let both = [VoteKind::Nullify, VoteKind::Finalize];
            if both.iter().all(|kind| signed.contains(&(view, *kind))) {
                self.broken = Some("I6: a view given up and finalised".into());
            }
        }
        if let Some(reason) = local.bft.halt_reason() {
            self.broken = Some(alloc::format!("stopped: {reason}"));
        }
    }

    fn first(&mut self, who: usize) -> u32 {
        let mut local = Local {
            who,
            bft: machine(&self.keys, self.honest[who], self.mutant),
            signed: 0,
            proposed: 0,
            chain: Vec::new(),
            log: Vec::new(),
            crashes: 0,
        };
        self.start(&mut local);
        self.local(local)
    }

    fn start(&mut self, local: &mut Local) {
        let mut recovered = Recovered::default();
        for record in &local.log {
            match record {
                Record::Vote(vote) => recovered.votes.push(*vote),
                Record::Block(block) => recovered.blocks.push((**block).clone()),
                Record::Cert(cert) => recovered.certs.push(cert.clone()),
                Record::VoteFloor(_) => {}
            }
        }
        let last = local.chain.last();
        recovered.committed = last.map(|number| self.blocks[*number].place());
        self.feed(local, Event::Start(Box::new(recovered)));
        self.feed(local, Event::Pending { waiting: true });
    }

    /// One event and whatever disk and application answer to it.
    fn feed(&mut self, local: &mut Local, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let mut out = Outbox::new();
            local.bft.step(NOW, event, &mut out);
            for effect in out.drain().collect::<Vec<_>>() {
                events.extend(self.on_effect(local, effect));
            }
        }
    }

    fn on_effect(&mut self, local: &mut Local, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Persist { seq, records } => {
                if self.bound.crashes > 0 {
                    local.log.extend(records);
                }
                return Some(Event::Persisted { seq });
            }
            Effect::Check { block } => {
                let hash = block.hash();
                return Some(Event::Checked { hash, valid: true });
            }
            Effect::Build { view, .. } if view.0 <= self.bound.views => {
                let items: Vec<bytes::Bytes> = vec![view.to_bytes()];
                let commitments = Commitments::to_items(&items);
                let content = Some(Box::new(Content { items, commitments }));
                return Some(Event::Built { view, content });
            }
            Effect::Broadcast {
                message: Message::Vote(vote),
            } if vote.signer.0 == self.honest[local.who] => {
                local.signed |= 1 << self.statement(vote.statement);
            }
            Effect::Broadcast {
                message: Message::Proposal(proposal),
            } => local.proposed |= 1 << self.block(&proposal.block),
            Effect::Commit(committed) => {
                let number = self.block(&committed.block);
                local.chain.push(number);
            }
            _ => {}
        }
        None
    }

    /// What a state becomes by an event.
    fn next(&mut self, state: u32, event: usize) -> u32 {
        let place = usize::try_from(state).unwrap();
        if let Some(known) = self.becomes[place].get(&event) {
            return *known;
        }
        let mut local = self.locals[place].clone();
        self.act(&mut local, event);
        let next = self.local(local);
        self.becomes[place].insert(event, next);
        next
    }

    fn act(&mut self, local: &mut Local, event: usize) {
        let from = self.keys.node(self.byzantine);
        let message = match event {
            TIMEOUT => {
                let timers = &mut local.bft.timers;
                let is_open = timers.view.is_some() && local.bft.view.0 <= self.bound.views;
                if is_open {
                    timers.leader = Some(NOW);
                    timers.view = Some(NOW);
                    self.feed(local, Event::Wake);
                }
                return;
            }
            CRASH => {
                local.crashes += 1;
                local.bft = machine(&self.keys, self.honest[local.who], self.mutant);
                return self.start(local);
            }
            block if block < CERTS => self.keys.proposal(&self.blocks[block], None, vec![]),
            cert if cert < VOTES => {
                let (statement, signers) = ((cert - CERTS) / 8, (cert - CERTS) % 8);
                let honest = self.honest.iter().enumerate();
                let signed = honest.filter(|(who, _)| signers >> who & 1 == 1);
                let mut all: Vec<u16> = signed.map(|(_, place)| *place).collect();
                all.push(self.byzantine);
                let cert = self.keys.cert(&all, self.statements[statement]);
                Message::Cert(Box::new(cert))
            }
            vote => {
                let (statement, signer) = ((vote - VOTES) / 4, (vote - VOTES) % 4);
                let signer = self.honest.get(signer).copied().unwrap_or(self.byzantine);
                Message::Vote(self.keys.vote(signer, self.statements[statement]))
            }
        };
        self.feed(local, Event::Message { from, message });
    }

    /// What can happen to a validator beside this network.
    fn events(&self, local: &Local, network: &Network) -> Vec<usize> {
        let (who, crashes) = (local.who, local.crashes);
        let mut events: Vec<usize> = bits(network.shown).collect();
        let signed = network.signed.iter().fold(0, |all, one| all | one);
        for statement in bits(signed) {
            let by = |(number, one): (usize, &u64)| (one >> statement & 1) << number;
            let signers: u64 = network.signed.iter().enumerate().map(by).sum();
            let signers = usize::try_from(signers).unwrap();
            // What it holds already teaches it nothing.
            let Statement { kind, block, .. } = self.statements[statement];
            let held = local.bft.cert(block.view, kind);
            if held.is_none_or(|cert| cert.statement != self.statements[statement]) {
                events.push(CERTS + statement * 8 + signers);
            }
            if self.bound.grain == Grain::Votes {
                let others = (0..3).filter(|one| *one != who && signers >> one & 1 == 1);
                events.extend(others.map(|one| VOTES + statement * 4 + one));
            }
        }
        if self.bound.grain == Grain::Votes {
            let all = 0..self.statements.len();
            events.extend(all.map(|statement| VOTES + statement * 4 + 3));
        }
        events.push(TIMEOUT);
        if crashes < self.bound.crashes {
            events.push(CRASH);
        }
        events
    }

    fn at(&self, state: u32) -> &Local {
        &self.locals[usize::try_from(state).unwrap()]
    }

    /// Everything in the network: what honest validators and the Byzantine validator have shown.
    fn network(&self, world: [u32; 3]) -> Network {
        let local = world.map(|state| self.at(state));
        Network {
            shown: local
                .iter()
                .fold(self.deviations, |all, one| all | one.proposed),
            signed: local.map(|one| one.signed),
        }
    }

    /// The states in which this validator has just signed or proposed something
    /// more, whatever it heard before. Of two of them, of which one comes from the
    /// other by hearing more, the one that has heard less is enough.
    fn reach(&mut self, state: u32, network: Network) -> Vec<u32> {
        if let Some(known) = self.reaches.get(&(state, network)) {
            return known.clone();
        }
        let (silent, mut loud) = self.hear_all(state, &network);
        for one in silent {
            self.judge_commits(one, &network);
        }
        for one in loud.clone() {
            if loud.contains(&one) {
                let mut later = network;
                later.signed[self.at(one).who] = self.at(one).signed;
                later.shown |= self.at(one).proposed;
                let (silent, _) = self.hear_all(one, &later);
                loud.retain(|other| *other == one || !silent.contains(other));
            }
        }
        let loud: Vec<u32> = loud.into_iter().collect();
        self.reaches.insert((state, network), loud.clone());
        loud
    }

    /// What a state can become by hearing this network: the states in which it has
    /// sent nothing new, and the first in which it has.
    fn hear_all(&mut self, state: u32, network: &Network) -> (BTreeSet<u32>, BTreeSet<u32>) {
        let visible = |local: &Local| (local.signed, local.proposed);
        let before = visible(self.at(state));
        let mut silent = BTreeSet::from([state]);
        let mut open = vec![state];
        let mut loud = BTreeSet::new();
        while let Some(state) = open.pop() {
            for event in self.events(self.at(state), network) {
                let next = self.next(state, event);
                self.transitions += u64::from(next != state);
                if visible(self.at(next)) != before {
                    loud.insert(next);
                } else if silent.insert(next) {
                    open.push(next);
                }
            }
        }
        (silent, loud)
    }

    /// What is committed has to be final, or to lie before what is final.
    fn judge_commits(&mut self, state: u32, network: &Network) {
        let Some(last) = self.at(state).chain.last() else {
            return;
        };
        let hash = self.blocks[*last].hash();
        let is_final = bits(network.certified()).any(|number| {
            let statement = &self.statements[number];
            statement.kind == VoteKind::Finalize
                && self.ancestry(statement.block.hash).contains(&hash)
        });
        if !is_final {
            self.broken = Some("I1: a block is committed that is not final".into());
        }
    }

    /// The laws of the world.
    fn check(&self, network: &Network) -> Option<&'static str> {
        let certified = network.certified();
        bits(certified)
            .any(|number| self.excluded[number] & certified != 0)
            .then_some("I1, I3, I4: certificates that exclude each other")
    }
}

/// What the honest validators have signed, and which blocks were proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Network {
    shown: u64,
    signed: [u64; 3],
}

impl Network {
    /// The Byzantine validator signs everything, so two honest validators make a certificate.
    const fn certified(&self) -> u64 {
        let [a, b, c] = self.signed;
        (a & b) | (a & c) | (b & c)
    }
}

/// What of a record matters after a crash.
fn essence(record: &Record) -> Vec<u8> {
    match record {
        Record::Vote(vote) => vote.to_bytes().to_vec(),
        Record::Block(block) => block.hash().0.to_vec(),
        Record::Cert(cert) => cert.statement.to_bytes().to_vec(),
        Record::VoteFloor(view) => view.to_bytes().to_vec(),
    }
}

fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let lowest = word.trailing_zeros();
        word &= word.wrapping_sub(1);
        (lowest < 64).then(|| usize::try_from(lowest).unwrap())
    })
}

/// States that were seen: three numbers of 21 bits each, in an open table.
struct Seen {
    slots: Vec<u64>,
    count: usize,
}

impl Seen {
    fn new() -> Self {
        Self {
            slots: vec![0; 1 << 16],
            count: 0,
        }
    }

    /// Whether it is new.
    fn insert(&mut self, world: [u32; 3]) -> bool {
        if self.count * 2 > self.slots.len() {
            let larger = vec![0; self.slots.len() * 2];
            let old = core::mem::replace(&mut self.slots, larger);
            for word in old.into_iter().filter(|word| *word != 0) {
                self.put(word);
            }
        }
        let [a, b, c] = world.map(u64::from);
        let is_new = self.put((a << 42 | b << 21 | c) + 1);
        self.count += usize::from(is_new);
        is_new
    }

    fn put(&mut self, word: u64) -> bool {
        let mask = self.slots.len() - 1;
        let hash = word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let mut place = usize::try_from(hash).unwrap() & mask;
        while self.slots[place] != 0 {
            if self.slots[place] == word {
                return false;
            }
            place = (place + 1) & mask;
        }
        self.slots[place] = word;
        true
    }
}

/// Searches everything within the bound, or up to the first broken law.
fn search(bound: Bound, mutant: Mutant) -> Result<Found, String> {
    let mut world = World::new(bound, mutant);
    let first = [0, 1, 2].map(|who| world.first(who));
    let mut seen = Seen::new();
    seen.insert(first);
    let mut open = vec![first];
    while let Some(state) = open.pop() {
        let network = world.network(state);
        if let Some(law) = world.check(&network) {
            return Err(law.into());
        }
        for who in 0..3 {
            for one in world.reach(state[who], network) {
                let mut next = state;
                next[who] = one;
                if seen.insert(next) {
                    open.push(next);
                }
            }
            if let Some(broken) = world.broken.take() {
                return Err(broken);
            }
        }
        assert!(seen.count < STATES_MAX, "the search has to finish");
    }
    let chains = world.locals.iter().map(|local| local.chain.len());
    Ok(Found {
        states: seen.count,
        transitions: world.transitions,
        committed: chains.max().unwrap_or_default(),
        locals: world.locals.len(),
        blocks: world.blocks.len(),
    })
}

/// Searches, prints, and requires that blocks are committed within the bound, or
/// nothing was tested.
fn holds(bound: Bound) {
    let found = search(bound, Mutant::None).unwrap_or_else(|law| panic!("{bound:?}: {law}"));
    std::println!("bft model {bound:?}: {found:?}, all of them");
    assert_eq!(found.committed, usize::try_from(bound.views).unwrap());
}

const fn within(views: u64, deviates_in: u64, grain: Grain, crashes: u8) -> Bound {
    Bound {
        views,
        deviates_in,
        grain,
        crashes,
    }
}

#[test]
fn one_view_of_a_byzantine_leader_with_two_crashes_of_each() {
    holds(within(1, 1, Grain::Certs, 2));
}

#[test]
fn one_view_vote_by_vote() {
    holds(within(1, 2, Grain::Votes, 0));
}

/// The Byzantine validator leads the first view, or the second, or none. One after the other:
/// each holds some tens of thousands of validators in memory.
#[test]
fn two_views() {
    for deviates_in in 1..=3 {
        holds(within(2, deviates_in, Grain::Certs, 0));
    }
}

/// Ten million states take two minutes, so this is a step of its own of the checks
/// (`.ci/model`). With a Byzantine validator that leads one of three views the states do not fit
/// the memory of a common machine.
#[test]
fn three_views_of_honest_leaders() {
    if std::env::var_os("DECUBE_MODEL").is_some() {
        holds(within(3, 4, Grain::Certs, 0));
    }
}

/// The same searches have to see what is broken.
#[cfg(feature = "mutants")]
mod finds {
    use super::{Grain, search, within};
    use crate::mutant::Mutant;

    macro_rules! finds {
        ($($name:ident: $mutant:ident $bound:tt by $law:literal),+ $(,)?) => {$(
            #[test]
            fn $name() {
                let bound = within $bound;
                let law = search(bound, Mutant::$mutant).expect_err("survived");
                assert!(law.contains($law), "found by accident: {law}");
            }
        )+};
    }

    finds! {
        a_quorum_of_two: BftQuorumRoundedDown(1, 1, Grain::Certs, 0) by "stopped",
        a_finalization_of_what_was_given_up:
            BftFinalizesAfterNullify(1, 1, Grain::Certs, 0) by "I6",
        views_that_were_not_given_up:
            BftSkipsUnchecked(2, 2, Grain::Certs, 0) by "stopped",
        a_forgotten_guard: BftGuardNotRecovered(1, 1, Grain::Certs, 1) by "I6",
        a_second_block: BftNotarizesTwice(1, 1, Grain::Certs, 1) by "I5",
        votes_for_two_blocks_added_up:
            BftTallyIgnoresBlock(1, 1, Grain::Votes, 0) by "stopped",
    }
}
