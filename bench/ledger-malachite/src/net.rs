//! Validators of malachite in one thread and in virtual time, on the same queue and
//! the same distances as ours.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use arc_malachitebft_core_consensus as consensus;
use arc_malachitebft_core_types as types;
use consensus::{Effect, Input, LocallyProposedValue, Params, Resumable, Resume, State};
use consensus::{LivenessMsg, SignedConsensusMsg, process};
use decube_io_sim::queue::{Queue, Tie};
use ledger_common::{Distance, Finality, quantile};
use types::{SignedMessage, Timeout, Timeouts as _, ValuePayload, VoteExtensionPolicy};

use crate::context::{Address, Bench, Height, Set, Timeouts, Value};

const SIGNATURE: [u8; 64] = [1; 64];

enum Item {
    Message {
        to: usize,
        input: Rc<Input<Bench>>,
    },
    Timeout {
        node: usize,
        height: Height,
        timeout: Timeout,
    },
}

struct Node {
    state: Option<State<Bench>>,
    /// Timeouts that are set, of the present height.
    timeouts: Vec<Timeout>,
    decided: Vec<u64>,
}

pub struct Net {
    set: Set,
    distance: Distance,
    nodes: Vec<Node>,
    queue: Queue<Item>,
    now: u64,
    /// When the value of each height left its proposer, by height.
    proposed: Vec<Option<u64>>,
    /// Signatures made, signatures checked, messages sent, by all together.
    pub counts: [u64; 3],
}

impl Net {
    pub fn new(count: usize, distance: Distance, crashed: &BTreeSet<usize>) -> Self {
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
                state: (!crashed.contains(&number)).then_some(state),
                timeouts: Vec::new(),
                decided: Vec::new(),
            }
        };
        let nodes = (0..count).map(node).collect();
        let mut net = Self {
            nodes,
            set,
            distance,
            queue: Queue::new(),
            now: 1,
            proposed: Vec::new(),
            counts: [0; 3],
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

    /// Runs until every living validator has decided so many heights.
    pub fn run_to(&mut self, heights: u64) {
        let heights = usize::try_from(heights).expect("64 bits");
        while self.living().any(|node| node.decided.len() < heights) {
            let (time, item) = self.queue.pop().expect("deadlines never end");
            self.now = time;
            match item {
                Item::Message { to, input } => self.step(to, Rc::unwrap_or_clone(input)),
                Item::Timeout {
                    node,
                    height,
                    timeout,
                } => self.expire(node, height, timeout),
            }
        }
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
        let place = node.timeouts.iter().position(|set| *set == timeout);
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
                self.nodes[number].timeouts.retain(|set| *set != timeout);
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
                let value = Value(height.0 << 8 | u64::from(round.as_u32().unwrap_or(0)));
                inputs.push_back(Input::Propose(LocallyProposedValue::new(
                    height, round, value,
                )));
                resume.resume_with(())
            }
            Effect::RestreamProposal(.., resume) => resume.resume_with(()),
            Effect::Decide(_, _, resume) => {
                let now = self.now;
                self.nodes[number].decided.push(now);
                resume.resume_with(())
            }
            Effect::Finalize(certificate, _, _, resume) => {
                let next = types::Height::increment(&certificate.height);
                inputs.push_back(self.start_height(next));
                resume.resume_with(())
            }
            Effect::WalAppend(_, _, resume) => resume.resume_with(()),
            signature => {
                self.count(&signature);
                sign_or_check(signature)
            }
        })
    }

    fn count(&mut self, effect: &Effect<Bench>) {
        let (signed, checked) = match effect {
            Effect::SignVote(..) | Effect::SignProposal(..) => (1, 0),
            Effect::VerifySignature(..) => (0, 1),
            Effect::VerifyCommitCertificate(cert, ..) => (0, cert.commit_signatures.len()),
            Effect::VerifyPolkaCertificate(cert, ..) => (0, cert.polka_signatures.len()),
            Effect::VerifyRoundCertificate(cert, ..) => (0, cert.round_signatures.len()),
            _ => (0, 0),
        };
        self.counts[0] += signed;
        self.counts[1] += u64::try_from(checked).expect("64 bits");
    }

    fn set_timeout(&mut self, node: usize, timeout: Timeout) {
        // While a node steps its state is out; the height follows from what it decided.
        let height = Height(self.nodes[node].decided.len() as u64 + 1);
        let after = Timeouts::default().duration_for(timeout);
        let due = self.now + u64::try_from(after.as_nanos()).expect("a short time");
        self.nodes[node].timeouts.push(timeout);
        let item = Item::Timeout {
            node,
            height,
            timeout,
        };
        self.queue.push(due, Tie::LAST, item);
    }

    fn publish(&mut self, number: usize, message: SignedConsensusMsg<Bench>) {
        let input = match message {
            SignedConsensusMsg::Vote(vote) => Input::Vote(vote),
            SignedConsensusMsg::Proposal(proposal) => {
                let height = types::Proposal::height(&proposal.message).0;
                let place = usize::try_from(height).expect("64 bits");
                self.proposed
                    .resize(self.proposed.len().max(place + 1), None);
                self.proposed[place] = Some(self.now);
                Input::Proposal(proposal)
            }
        };
        self.broadcast(number, input);
    }

    fn broadcast(&mut self, from: usize, input: Input<Bench>) {
        self.counts[2] += u64::try_from(self.nodes.len() - 1).expect("64 bits");
        let input = Rc::new(input);
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            // A node that is stepping has its state out, but only the sender is.
            if self.nodes[to].state.is_some() {
                let at = self.now + self.distance.between(from, to).0;
                let input = input.clone();
                self.queue.push(at, Tie(0), Item::Message { to, input });
            }
        }
    }

    /// What all heights but the first ten have taken.
    pub fn finality(&self) -> Finality {
        let (mut finality, mut pauses) = (Vec::new(), Vec::new());
        let least = self
            .living()
            .map(|node| node.decided.len())
            .min()
            .unwrap_or(0);
        for node in self.living() {
            for height in 10..least {
                // The last proposal of a height is the one that was decided.
                let proposed = self.proposed[height + 1].expect("it was decided");
                let decided = node.decided[height];
                finality.push((decided - proposed) as f64 / 1e6);
                pauses.push((decided - node.decided[height - 1]) as f64 / 1e6);
            }
        }
        Finality {
            p50: quantile(&mut finality, 50),
            p99: quantile(&mut finality, 99),
            pause: quantile(&mut pauses, 50),
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

/// Signatures cost nothing here, and all are good.
fn sign_or_check(effect: Effect<Bench>) -> Resume<Bench> {
    match effect {
        Effect::SignVote(vote, resume) => resume.resume_with(SignedMessage::new(vote, SIGNATURE)),
        Effect::SignProposal(proposal, resume) => {
            resume.resume_with(SignedMessage::new(proposal, SIGNATURE))
        }
        Effect::VerifySignature(_, _, resume) => resume.resume_with(true),
        Effect::VerifyCommitCertificate(_, _, _, resume) => resume.resume_with(Ok(())),
        Effect::VerifyPolkaCertificate(_, _, _, resume) => resume.resume_with(Ok(())),
        Effect::VerifyRoundCertificate(_, _, _, resume) => resume.resume_with(Ok(())),
        _ => unreachable!("no extensions, and nobody falls behind"),
    }
}
