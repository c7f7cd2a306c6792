//! What requests leave behind has a bound.

use alloc::vec;

use super::{Kind, Origin, Requests};
use crate::limits::{FORWARDERS_REMEMBERED, REQUEST_DEADLINES_MAX};
use crate::raft::Membership;
use crate::types::{NodeId, PeerRequestId, ProcessNonce, RequestId, Time};

/// Each request is answered before its deadline and before the next one is asked.
#[test]
fn answered_requests_do_not_pile_up_deadlines() {
    let mut requests = Requests::default();
    let client = |number| Some(Origin::Client(RequestId(number)));
    let open = requests.enter_raft(client(0), Kind::Change, Time(9));
    for number in (1..).take(3 * REQUEST_DEADLINES_MAX) {
        let context = requests.enter_raft(client(number), Kind::Change, Time(9));
        requests.leave_raft(context).expect("it is open");
        assert!(requests.deadlines.len() <= REQUEST_DEADLINES_MAX);
    }
    assert!(requests.is_consistent());
    assert_eq!(requests.deadline(), Some(Time(9)), "that of the open one");
    assert!(requests.leave_raft(open).is_some());
}

/// Machines are replaced under new ids, again and again.
#[test]
fn peers_that_are_no_members_any_more_are_forgotten_when_there_are_many() {
    let mut requests = Requests::default();
    let id = |number| PeerRequestId {
        process: ProcessNonce(1),
        number,
    };
    let stays = NodeId(3);
    for node in (10..).map(NodeId).take(3 * FORWARDERS_REMEMBERED) {
        let membership = Membership {
            voters: vec![stays, node],
            ..Membership::default()
        };
        let number = u64::try_from(node.0).expect("a small number");
        assert!(requests.is_first_sight(node, id(0), &membership));
        assert!(!requests.is_first_sight(node, id(0), &membership));
        assert!(requests.is_first_sight(stays, id(number), &membership));
        assert!(requests.is_consistent());
    }
    assert_eq!(requests.seen.len(), FORWARDERS_REMEMBERED);
    let membership = Membership::default();
    assert!(!requests.is_first_sight(stays, id(10), &membership));
}
