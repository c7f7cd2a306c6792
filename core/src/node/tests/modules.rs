//! When a module is switched on in a cluster whose nodes are of two versions: the newer
//! one has a module more.

use super::cluster::{Cluster, Event, members};
use crate::cluster::{self, Config, Request, Response};
use crate::kv::Outcome;
use crate::limits::MODULE_CHECKS_MAX;
use crate::node::Message;
use crate::raft::{Membership, Refusal};
use crate::replica::Command;
use crate::replica::tests::toy::TOY;
use crate::types::{ModuleId, Modules, NodeId, PeerRequestId, ProcessNonce, RequestId, Span};

const ENABLE: Request = Request::Write(Command::Enable { module: TOY });

/// Too short for a node to be taken for silent.
const MOMENT: Span = Span::from_millis(100);

fn is_new(config: &mut Config) {
    config.claimed_modules = Modules::of(TOY);
}

fn is_new_but_for_3(config: &mut Config) {
    if config.id != NodeId(3) {
        is_new(config);
    }
}

fn is_new_but_for_4(config: &mut Config) {
    if config.id != NodeId(4) {
        is_new(config);
    }
}

const fn lacking(node: NodeId) -> Response {
    let module = TOY;
    Response::Refused(Refusal::LacksModule { node, module })
}

const fn silent(node: NodeId) -> Response {
    let module = TOY;
    Response::Refused(Refusal::SilentOnModule { node, module })
}

fn is_on(response: &Response) -> bool {
    let on = Outcome::ModuleOn { module: TOY };
    matches!(response, Response::Written { outcome, .. } if *outcome == on)
}

fn hand_over(cluster: &mut Cluster, to: NodeId) {
    let leader = cluster.elect();
    if leader != to {
        let handed = cluster.ask(leader, Request::TransferLeadership { to });
        assert_eq!(handed, Response::Accepted);
    }
    cluster.run_until("the next leader", |cluster| cluster.leader() == Some(to));
}

fn other_than(cluster: &Cluster, nodes: &[NodeId]) -> NodeId {
    let mut others = cluster.nodes().into_iter();
    let other = others.find(|node| !nodes.contains(node));
    other.expect("there is another one")
}

/// Adds node 4 and waits until it has what the leader has.
fn add_learner(cluster: &mut Cluster, leader: NodeId, voters: Membership) {
    cluster.join(NodeId(4), Membership::default());
    let target = Membership {
        learners: [NodeId(4)].into(),
        ..voters
    };
    let added = cluster.ask(leader, Request::ChangeMembership(target));
    assert_eq!(added, Response::Accepted);
    cluster.run_until("the learner to catch up", |cluster| {
        let applied = |node| cluster.part(node).replica().applied();
        applied(NodeId(4)) == applied(leader)
    });
    // The leader hears of it.
    cluster.run_for(MOMENT);
}

fn modules_on(cluster: &Cluster, node: NodeId) -> Modules {
    cluster.part(node).replica().modules_on()
}

#[test]
fn a_module_is_switched_on_when_the_last_voter_has_it() {
    let mut cluster = Cluster::tuned(3, is_new_but_for_3);
    let leader = NodeId(1);
    hand_over(&mut cluster, leader);
    let before = cluster.part(leader).raft().unwrap().last();
    assert_eq!(cluster.ask(leader, ENABLE), lacking(NodeId(3)));
    assert_eq!(cluster.ask(NodeId(2), ENABLE), lacking(NodeId(3)));
    let last = cluster.part(leader).raft().unwrap().last();
    assert_eq!(last, before, "nothing was proposed");
    cluster.tune = is_new;
    cluster.restart(NodeId(3));
    cluster.run_until("recovery", |cluster| {
        cluster.slot(NodeId(3)).health.is_serving()
    });
    assert!(is_on(&cluster.ask(leader, ENABLE)));
    assert!(is_on(&cluster.ask(NodeId(2), ENABLE)), "once more");
    cluster.run_for(Span::from_secs(1));
    let on = Modules::of(TOY).and(Modules::of(ModuleId::FIRST));
    for node in cluster.nodes() {
        cluster.restart(node);
    }
    cluster.elect();
    cluster.run_for(Span::from_secs(1));
    for node in cluster.nodes() {
        assert_eq!(modules_on(&cluster, node), on);
    }
}

#[test]
fn a_leader_that_lacks_the_module_says_so_itself() {
    let mut cluster = Cluster::tuned(3, is_new_but_for_3);
    hand_over(&mut cluster, NodeId(3));
    let asked = cluster.request(NodeId(3), ENABLE);
    assert_eq!(cluster.replies.remove(&asked), Some(lacking(NodeId(3))));
}

#[test]
fn the_first_module_needs_nobody() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let module = ModuleId::FIRST;
    let response = cluster.ask(leader, Request::Write(Command::Enable { module }));
    let on = Outcome::ModuleOn { module };
    assert!(matches!(response, Response::Written { outcome, .. } if outcome == on));
}

#[test]
fn a_silent_voter_is_named_whoever_was_asked() {
    let mut cluster = Cluster::tuned(3, is_new);
    let leader = cluster.elect();
    let follower = other_than(&cluster, &[leader]);
    let dead = other_than(&cluster, &[leader, follower]);
    cluster.kill(dead);
    assert_eq!(cluster.ask(leader, ENABLE), silent(dead));
    assert_eq!(cluster.ask(follower, ENABLE), silent(dead));
    cluster.start(dead);
    cluster.run_until("recovery", |cluster| cluster.slot(dead).health.is_serving());
    assert!(is_on(&cluster.ask(follower, ENABLE)));
}

#[test]
fn what_waits_for_a_silent_voter_is_bounded_and_can_be_cancelled() {
    let mut cluster = Cluster::tuned(3, is_new);
    let leader = cluster.elect();
    let dead = other_than(&cluster, &[leader]);
    cluster.kill(dead);
    let first = cluster.request(leader, ENABLE);
    let waiting = (1..MODULE_CHECKS_MAX).map(|_| cluster.request(leader, ENABLE));
    let waiting: alloc::vec::Vec<RequestId> = waiting.collect();
    let busy = Response::Refused(Refusal::Busy);
    assert_eq!(cluster.ask(leader, ENABLE), busy);
    let open = |cluster: &Cluster| cluster.part(leader).requests_open();
    assert_eq!(open(&cluster), MODULE_CHECKS_MAX);
    cluster.step(leader, Event::Cancel { id: first });
    assert_eq!(open(&cluster), MODULE_CHECKS_MAX - 1);
    assert_eq!(cluster.ask(leader, ENABLE), silent(dead));
    for id in waiting {
        assert_eq!(cluster.replies.remove(&id), Some(silent(dead)));
    }
}

#[test]
fn a_leader_that_goes_has_proposed_nothing_of_what_waits() {
    let mut cluster = Cluster::tuned(3, is_new);
    let leader = cluster.elect();
    let follower = other_than(&cluster, &[leader]);
    cluster.kill(other_than(&cluster, &[leader, follower]));
    let waits = cluster.request(leader, ENABLE);
    hand_over(&mut cluster, follower);
    let refused = cluster.replies.remove(&waits);
    assert!(
        matches!(refused, Some(Response::Refused(Refusal::NotLeader { .. }))),
        "{refused:?}"
    );
    cluster.run_for(Span::from_secs(2));
    let on = modules_on(&cluster, follower);
    assert_eq!(on, Modules::of(ModuleId::FIRST));
}

#[test]
fn an_answer_of_a_stranger_does_not_count() {
    let mut cluster = Cluster::tuned(3, is_new_but_for_3);
    let leader = NodeId(1);
    hand_over(&mut cluster, leader);
    cluster.cut.insert(NodeId(3));
    let waits = cluster.request(leader, ENABLE);
    let process = cluster.part(leader).config().process;
    let modules = Modules::of(TOY);
    for number in 0..100 {
        let id = PeerRequestId { process, number };
        let reply = cluster::Message::ModulesReply { id, modules };
        let message = Message::Cluster(reply);
        let from = NodeId(99);
        cluster.step(leader, Event::Message { from, message });
    }
    // Nor does one to another request.
    let id = PeerRequestId {
        process: ProcessNonce(!process.0),
        number: 1,
    };
    let reply = cluster::Message::ModulesReply { id, modules };
    let message = Message::Cluster(reply);
    let from = NodeId(3);
    cluster.step(leader, Event::Message { from, message });
    cluster.run_until("the refusal", |cluster| {
        cluster.replies.contains_key(&waits)
    });
    assert_eq!(cluster.replies.remove(&waits), Some(silent(NodeId(3))));
}

#[test]
fn a_learner_that_stopped_at_the_switch_does_not_become_a_voter() {
    let mut cluster = Cluster::tuned(3, is_new_but_for_4);
    let leader = cluster.elect();
    add_learner(&mut cluster, leader, members(3));
    assert!(is_on(&cluster.ask(leader, ENABLE)), "learners do not vote");
    cluster.run_until("its halt", |cluster| {
        cluster.slot(NodeId(4)).halted().is_some()
    });
    let promote = Request::ChangeMembership(members(4));
    assert_eq!(cluster.ask(leader, promote.clone()), silent(NodeId(4)));
    cluster.tune = is_new;
    cluster.restart(NodeId(4));
    cluster.run_until("it to catch up", |cluster| {
        let applied = |node| cluster.part(node).replica().applied();
        applied(NodeId(4)) == applied(leader)
    });
    cluster.run_for(MOMENT);
    assert_eq!(cluster.ask(leader, promote), Response::Accepted);
}

#[test]
fn a_switch_that_is_not_applied_yet_counts_for_who_may_become_a_voter() {
    let mut cluster = Cluster::tuned(1, is_new_but_for_4);
    let leader = cluster.elect();
    add_learner(&mut cluster, leader, members(1));
    let switched = cluster.request(leader, ENABLE);
    assert_eq!(
        modules_on(&cluster, leader),
        Modules::of(ModuleId::FIRST),
        "it is only in the log"
    );
    let target = members(1).voters.into_iter().chain([NodeId(4)]);
    let target = Membership::of_voters(target);
    let promoted = cluster.ask(leader, Request::ChangeMembership(target));
    assert_eq!(promoted, lacking(NodeId(4)));
    cluster.run_until("the switch", |cluster| {
        cluster.replies.contains_key(&switched)
    });
    assert!(is_on(&cluster.replies[&switched]));
}

#[test]
fn voters_on_their_way_out_must_have_it_as_well() {
    let mut cluster = Cluster::tuned(3, is_new_but_for_3);
    hand_over(&mut cluster, NodeId(1));
    let leader = NodeId(1);
    add_learner(&mut cluster, leader, members(3));
    let target = Membership::of_voters([1, 2, 4].map(NodeId));
    let change = cluster.request(leader, Request::ChangeMembership(target));
    let joint = cluster.part(leader).raft().unwrap().membership();
    assert!(joint.is_joint() && joint.votes(NodeId(3)));
    assert_eq!(cluster.ask(leader, ENABLE), lacking(NodeId(3)));
    assert_eq!(cluster.replies.remove(&change), Some(Response::Accepted));
    cluster.run_until("the joint membership to be left", |cluster| {
        let raft = cluster.part(leader).raft().unwrap();
        !raft.membership().votes(NodeId(3))
    });
    assert!(is_on(&cluster.ask(leader, ENABLE)));
}
