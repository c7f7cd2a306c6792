//! Validators of malachite in one thread and in virtual time, on the same queue, the
//! same distances and the same faults as ours.
//!
//! Who hears of later heights for half a delay asks for the decisions in between, one
//! at a time: in a deployment that is the work of another crate
//! (`arc-malachitebft-sync`), which asks less often.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use arc_malachitebft_core_consensus as consensus;
use arc_malachitebft_core_types as types;
use arc_malachitebft_peer::PeerId;
use consensus::{ConsensusMsg, Effect, Input, LocallyProposedValue, Params, ProposedValue};
use consensus::{LivenessMsg, Resumable, Resume, SignedConsensusMsg, State, process};
use decube_core::types::{Span, Time};
use decube_io_sim::queue::{Queue, Tie};
use ledger_common::{Distance, Faults, PATIENCE, Seen};
use types::{CommitCertificate, ExtendedCommitCertificate, NilOrVal, Round, SignedMessage};
use types::{Timeout, Timeouts as _, Validity, ValueOrigin, ValuePayload, ValueResponse};
use types::{VoteExtensionPolicy, VoteExtensions, VoteType};

use crate::context::{Address, Bench, Height, Set, Timeouts, Value, Vote};
use crate::crypto::{Crypto, Keys};
use crate::wire;

/// For how long a later height is heard of before its decision is asked for: the last
/// votes of the present one may be on their way.
const ASK_AFTER: Span = Span::from_millis(125);

/// Until a question for a decision is asked again: a reckoned delay, as in ours.
const ASK_AGAIN: Span = Span::from_millis(250);

enum Item {
    Message {
        from: usize,
        to: usize,
        input: Rc<Input<Bench>>,
    },
    /// A question for the decision of a height.
    Ask {
        from: usize,
        to: usize,
        height: Height,
    },
    /// A value that took a while to make.
    Value {
        node: usize,
        value: LocallyProposedValue<Bench>,
    },
    Timeout {
        node: usize,
        height: Height,
        timeout: Timeout,
    },
}

struct Node {
    state: Option<State<Bench>>,
    /// Timeouts that are set, of the present height, and when they end.
    timeouts: Vec<(Timeout, Time)>,
    decided: Vec<Decided>,
    /// The height for whose decision it is to ask, and from when on.
    behind: (Height, Time),
}

struct Decided {
    at: Time,
    certificate: CommitCertificate<Bench>,
}

/// Of all together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub signed: u64,
    pub checked: u64,
    messages: u64,
    bytes: u64,
}

impl Counts {
    /// Messages, one for each that they go to, and bytes of them.
    pub fn sent(&self) -> [u64; 2] {
        [self.messages, self.bytes]
    }
}

pub struct Net {
    set: Set,
    keys: Keys,
    distance: Distance,
    faults: Faults,
    nodes: Vec<Node>,
    queue: Queue<Item>,
    now: Time,
    /// When each value left its proposer first.
    proposed: BTreeMap<u64, u64>,
    pub counts: Counts,
}

impl Net {
    pub fn new(count: usize, distance: Distance, faults: Faults, crypto: Crypto) -> Self {
        let set = Set::new(count);
        let node = |number: usize| {
            let params = Params {
                address: Address(number),
                threshold_params: types::ThresholdParams::default(),
                value_payload: ValuePayload::ProposalOnly,
                enabled: true,
            };
            let state = State::new(Bench, Height(1), set.clone(), params, 16, 1 << 16);
            Node {
                state: (!faults.crashed.contains(&number)).then_some(state),
                timeouts: Vec::new(),
                decided: Vec::new(),
                behind: (Height(0), Time::ZERO),
            }
        };
        let nodes = (0..count).map(node).collect();
        let mut net = Self {
            nodes,
            keys: Keys::new(crypto, count),
            set,
            distance,
            faults,
            queue: Queue::new(),
            now: Time(1),
            proposed: BTreeMap::new(),
            counts: Counts::default(),
        };
        for number in 0..count {
            let start = net.start_height(Height(1));
            net.step(number, start);
        }
        net
    }

    fn start_height(&self, height: Height) -> Input<Bench> {
        let policy = VoteExtensionPolicy::Disabled;
        Input::StartHeight(height, self.set.clone(), false, None, policy)
    }

    /// Runs until every living validator has decided so many heights. Says if they did.
    pub fn run_to(&mut self, heights: u64) -> bool {
        let heights = usize::try_from(heights).expect("64 bits");
        while self.living().any(|node| node.decided.len() < heights) {
            let (time, item) = self.queue.pop().expect("deadlines never end");
            self.now = Time(time);
            if self.now > Time::ZERO + PATIENCE {
                return false;
            }
            match item {
                Item::Message { from, to, input } => self.receive(from, to, input),
                Item::Ask { from, to, height } => self.answer(from, to, height),
                Item::Value { node, value } => self.step(node, Input::Propose(value)),
                Item::Timeout {
                    node,
                    height,
                    timeout,
                } => self.expire(node, height, timeout),
            }
        }
        true
    }

    /// A message arrives; what it says of a later height is a reason to ask.
    fn receive(&mut self, from: usize, to: usize, input: Rc<Input<Bench>>) {
        let node = &mut self.nodes[to];
        let Some(present) = node.state.as_ref().map(State::height) else {
            return;
        };
        if wire::height(&input) > present && node.behind.0 < present {
            node.behind = (present, self.now + ASK_AFTER);
        } else if wire::height(&input) > present && node.behind.1 <= self.now {
            node.behind.1 = self.now + ASK_AGAIN;
            let (asks, asked) = (to, from);
            let ask = Item::Ask {
                from: asks,
                to: asked,
                height: present,
            };
            self.send(asks, asked, 8, ask);
        }
        self.step(to, Rc::unwrap_or_clone(input));
    }

    /// Answers a question for a decision, if it is known.
    fn answer(&mut self, asks: usize, asked: usize, height: Height) {
        let place = usize::try_from(height.0 - 1).expect("64 bits");
        let Some(decided) = self.nodes[asked].decided.get(place) else {
            return;
        };
        let certificate = ExtendedCommitCertificate::from_commit_certificate_and_extensions(
            decided.certificate.clone(),
            VoteExtensions::default(),
        );
        let value = decided.certificate.value_id.to_be_bytes().to_vec();
        let peer = PeerId::from_bytes(&[0, 1, 0]).expect("an identity of one byte");
        let response = ValueResponse::new(peer, value.into(), certificate);
        let input = Rc::new(Input::SyncValueResponse(response));
        let bytes = wire::size(&input);
        let item = Item::Message {
            from: asked,
            to: asks,
            input,
        };
        self.send(asked, asks, bytes, item);
    }

    fn living(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.state.is_some())
    }

    fn expire(&mut self, number: usize, height: Height, timeout: Timeout) {
        let node = &mut self.nodes[number];
        let is_present = node
            .state
            .as_ref()
            .is_some_and(|state| state.height() == height);
        let ends = (timeout, self.now);
        let place = node.timeouts.iter().position(|set| *set == ends);
        if let Some(place) = place.filter(|_| is_present) {
            node.timeouts.swap_remove(place);
            self.step(number, Input::TimeoutElapsed(timeout));
        }
    }

    /// An input, and at once those that follow from it without a message.
    fn step(&mut self, number: usize, input: Input<Bench>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(mut state) = self.nodes[number].state.take() else {
                return;
            };
            let done: Result<(), consensus::Error<Bench>> = process!(
                input: input,
                state: &mut state,
                metrics: &(),
                with: effect => self.perform(number, effect, &mut inputs)
            );
            done.expect("nothing here breaks a validator");
            self.nodes[number].state = Some(state);
        }
    }

    fn perform(
        &mut self,
        number: usize,
        effect: Effect<Bench>,
        inputs: &mut VecDeque<Input<Bench>>,
    ) -> Result<Resume<Bench>, consensus::Error<Bench>> {
        Ok(match effect {
            Effect::CancelAllTimeouts(resume) => {
                self.nodes[number].timeouts.clear();
                resume.resume_with(())
            }
            Effect::CancelTimeout(timeout, resume) => {
                self.nodes[number]
                    .timeouts
                    .retain(|(set, _)| *set != timeout);
                resume.resume_with(())
            }
            Effect::ScheduleTimeout(timeout, resume) => {
                self.set_timeout(number, timeout);
                resume.resume_with(())
            }
            Effect::StartRound(_, _, _, _, resume) => resume.resume_with(()),
            Effect::PublishConsensusMsg(message, resume) => {
                self.publish(number, message);
                resume.resume_with(())
            }
            Effect::PublishLivenessMsg(message, resume) => {
                self.broadcast(number, repeated(message));
                resume.resume_with(())
            }
            Effect::RepublishVote(vote, resume) => {
                self.broadcast(number, Input::Vote(vote));
                resume.resume_with(())
            }
            Effect::RepublishRoundCertificate(cert, resume) => {
                self.broadcast(number, Input::RoundCertificate(cert));
                resume.resume_with(())
            }
            Effect::GetValue(height, round, _, resume) => {
                inputs.extend(self.make_value(number, height, round));
                resume.resume_with(())
            }
            Effect::RestreamProposal(.., resume) => resume.resume_with(()),
            Effect::CertVerifiedSyncValue(response, proposer, resume) => {
                let value = ProposedValue {
                    height: response.certificate.height,
                    round: response.certificate.round,
                    valid_round: Round::Nil,
                    proposer,
                    value: Value(response.certificate.value_id),
                    validity: Validity::Valid,
                };
                inputs.push_back(Input::ProposedValue(value, ValueOrigin::Sync));
                resume.resume_with(())
            }
            Effect::Decide(certificate, _, resume) => {
                let at = self.now;
                self.nodes[number].decided.push(Decided { at, certificate });
                resume.resume_with(())
            }
            Effect::Finalize(certificate, _, _, resume) => {
                let next = types::Height::increment(&certificate.height);
                inputs.push_back(self.start_height(next));
                resume.resume_with(())
            }
            Effect::WalAppend(_, _, resume) => resume.resume_with(()),
            signature => self.sign_or_check(number, signature),
        })
    }

    fn sign_or_check(&mut self, number: usize, effect: Effect<Bench>) -> Resume<Bench> {
        match effect {
            Effect::SignVote(vote, resume) => {
                self.counts.signed += 1;
                let signature = self.keys.sign(number, || wire::vote_to_sign(&vote));
                resume.resume_with(SignedMessage::new(vote, signature))
            }
            Effect::SignProposal(proposal, resume) => {
                self.counts.signed += 1;
                let message = || wire::proposal_to_sign(&proposal);
                let signature = self.keys.sign(number, message);
                resume.resume_with(SignedMessage::new(proposal, signature))
            }
            Effect::VerifySignature(signed, _, resume) => {
                let author = match &signed.message {
                    ConsensusMsg::Vote(vote) => types::Vote::validator_address(vote).0,
                    ConsensusMsg::Proposal(one) => types::Proposal::validator_address(one).0,
                };
                let message = || wire::to_sign(&signed.message);
                resume.resume_with(self.check(author, message, &signed.signature))
            }
            Effect::VerifyCommitCertificate(cert, _, _, resume) => {
                self.check_commits(&cert);
                resume.resume_with(Ok(()))
            }
            // There are no extensions to check.
            Effect::VerifyExtendedCommitCertificate(cert, _, _, _, resume) => {
                self.check_commits(&cert.trim_vote_extensions());
                resume.resume_with(Ok(()))
            }
            Effect::VerifyPolkaCertificate(cert, _, _, resume) => {
                let signed = cert.polka_signatures.iter();
                let signed = signed.map(|one| (one.address, one.signature));
                let place = (VoteType::Prevote, cert.height, cert.round);
                self.check_all(place, cert.value_id, signed);
                resume.resume_with(Ok(()))
            }
            Effect::VerifyRoundCertificate(cert, _, _, resume) => {
                let (height, round) = (cert.height, cert.round);
                for one in &cert.round_signatures {
                    let vote = Vote::new(one.vote_type, height, round, one.value_id, one.address);
                    self.check_vote(&vote, &one.signature);
                }
                resume.resume_with(Ok(()))
            }
            _ => unreachable!("no extensions, and nobody lies"),
        }
    }

    fn check_commits(&mut self, cert: &CommitCertificate<Bench>) {
        let signed = cert.commit_signatures.iter();
        let signed = signed.map(|one| (one.address, one.signature));
        let place = (VoteType::Precommit, cert.height, cert.round);
        self.check_all(place, cert.value_id, signed);
    }

    /// Checks votes for one value, as a certificate holds them.
    fn check_all(
        &mut self,
        (kind, height, round): (VoteType, Height, Round),
        id: u64,
        signed: impl Iterator<Item = (Address, [u8; 64])>,
    ) {
        for (address, signature) in signed {
            let vote = Vote::new(kind, height, round, NilOrVal::Val(id), address);
            self.check_vote(&vote, &signature);
        }
    }

    fn check_vote(&mut self, vote: &Vote, signature: &[u8; 64]) {
        let author = types::Vote::validator_address(vote).0;
        let good = self.check(author, || wire::vote_to_sign(vote), signature);
        assert!(good, "nobody lies");
    }

    fn check(
        &mut self,
        author: usize,
        message: impl FnOnce() -> Vec<u8>,
        signature: &[u8; 64],
    ) -> bool {
        self.counts.checked += 1;
        self.keys.check(author, message, signature)
    }

    /// A value to propose, at once but for who is late.
    fn make_value(&mut self, node: usize, height: Height, round: Round) -> Option<Input<Bench>> {
        let id = height.0 << 8 | u64::from(round.as_u32().unwrap_or(0));
        let value = LocallyProposedValue::new(height, round, Value(id));
        let late = self.faults.lateness(node);
        if late == Span::ZERO {
            return Some(Input::Propose(value));
        }
        let item = Item::Value { node, value };
        self.queue.push((self.now + late).0, Tie(0), item);
        None
    }

    fn set_timeout(&mut self, node: usize, timeout: Timeout) {
        // While a node steps its state is out; the height follows from what it decided.
        let height = Height(self.nodes[node].decided.len() as u64 + 1);
        let after = Timeouts::default().duration_for(timeout);
        let due = self.now + Span(u64::try_from(after.as_nanos()).expect("a short time"));
        // One that is set again begins again.
        let timeouts = &mut self.nodes[node].timeouts;
        timeouts.retain(|(set, _)| *set != timeout);
        timeouts.push((timeout, due));
        let item = Item::Timeout {
            node,
            height,
            timeout,
        };
        self.queue.push(due.0, Tie::LAST, item);
    }

    fn publish(&mut self, number: usize, message: SignedConsensusMsg<Bench>) {
        let input = match message {
            SignedConsensusMsg::Vote(vote) => Input::Vote(vote),
            SignedConsensusMsg::Proposal(proposal) => {
                let value = types::Proposal::value(&proposal.message).0;
                self.proposed.entry(value).or_insert(self.now.0);
                Input::Proposal(proposal)
            }
        };
        self.broadcast(number, input);
    }

    fn broadcast(&mut self, from: usize, input: Input<Bench>) {
        let (bytes, input) = (wire::size(&input), Rc::new(input));
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            let input = input.clone();
            self.send(from, to, bytes, Item::Message { from, to, input });
        }
    }

    fn send(&mut self, from: usize, to: usize, bytes: usize, item: Item) {
        self.counts.messages += 1;
        self.counts.bytes += u64::try_from(bytes).expect("64 bits");
        let lost = self.faults.lose(self.now, from, to, self.counts.messages);
        if !lost && !self.faults.crashed.contains(&to) {
            let at = self.now + self.distance.between(from, to);
            self.queue.push(at.0, Tie(0), item);
        }
    }

    /// What the run has shown.
    pub fn seen(&self, stalled: bool) -> Seen {
        let list = |node: &Node| {
            let decided = node.decided.iter();
            let pairs = decided.map(|one| (one.certificate.value_id, one.at.0));
            pairs.collect()
        };
        Seen {
            proposed: self.proposed.clone(),
            committed: self.living().map(list).collect(),
            stalled,
        }
    }
}

fn repeated(message: LivenessMsg<Bench>) -> Input<Bench> {
    match message {
        LivenessMsg::Vote(vote) => Input::Vote(vote),
        LivenessMsg::PolkaCertificate(cert) => Input::PolkaCertificate(cert),
        LivenessMsg::SkipRoundCertificate(cert) => Input::RoundCertificate(cert),
    }
}
