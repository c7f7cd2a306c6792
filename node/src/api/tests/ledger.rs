//! What the ledger refuses, as clients see it.

use decube_core::bft::Height;
use decube_core::crypto::ChainId;
use decube_core::ledger::{
    AccountId, AccountView, Invalid, Lane, LaneView, Rejection, Response, Sequence, Share,
};
use decube_core::types::{ClusterId, Span};

use super::{Answer, Api};

/// Hands a transaction in that the ledger refuses like this.
async fn refused_with(rejection: Rejection) -> Answer {
    let api = Api::with_ledger();
    api.node.script_ledger(Response::Rejected(rejection));
    let body = r#"{"transaction":"0x00"}"#;
    let headers = [("content-type", "application/json")];
    api.call("POST /consensus/transactions", &headers, body)
        .await
}

#[tokio::test]
async fn who_is_too_fast_or_finds_no_room_is_told_when_to_come_back() {
    let wait = Span::from_millis(2_300);
    for (rejection, reason, seconds) in [
        (
            Rejection::TooFast {
                by: Share::Account,
                wait,
            },
            "rate_account",
            "3",
        ),
        (
            Rejection::TooFast {
                by: Share::Cluster,
                wait,
            },
            "rate_cluster",
            "3",
        ),
        (
            Rejection::TooFast {
                by: Share::Peer,
                wait,
            },
            "rate_peer",
            "3",
        ),
        (
            Rejection::TooFast {
                by: Share::Account,
                wait: Span(1),
            },
            "rate_account",
            "1",
        ),
        (Rejection::Full(Share::All), "pool_full", "2"),
        (Rejection::Full(Share::Account), "pool_account_share", "2"),
        (Rejection::Full(Share::Cluster), "pool_cluster_share", "2"),
        (
            Rejection::Crowded {
                sequence: 5,
                next: 2,
            },
            "pool_crowded",
            "2",
        ),
        (Rejection::Invalid(Invalid::NewAccounts), "pool_full", "2"),
    ] {
        let answer = refused_with(rejection).await;
        let problem = answer.refused(429, "ledger/full");
        assert_eq!(problem["error"]["details"]["reason"], reason);
        assert_eq!(problem["retryable"], true);
        assert_eq!(answer.header("retry-after"), seconds, "{reason}");
        let millis = problem["retry_after_ms"].as_u64().expect("a number");
        let retry = rejection.retry_after().expect("worth another try");
        assert!(
            millis > retry.as_millis(),
            "not earlier than it can succeed"
        );
    }
}

#[tokio::test]
async fn an_account_tells_what_is_final_from_what_waits() {
    let api = Api::with_ledger();
    api.node.script_ledger(Response::Account(AccountView {
        id: AccountId([1; 20]),
        exists: true,
        lanes: vec![LaneView {
            lane: Lane(2),
            next: Sequence(9),
            next_final: Sequence(7),
        }],
        chain: ChainId(1),
        height: Height(3),
        valid_until_max: Height(30),
    }));
    let path = format!("/consensus/accounts/{}", AccountId([1; 20]));
    let answer = api.get(&path).await.json();
    assert_eq!(
        answer["lanes"],
        serde_json::json!([{ "lane": 2, "next": 9, "next_final": 7 }])
    );
}

/// The ledger itself has nothing but hashes of names.
#[test]
fn clusters_have_the_names_of_the_genesis_file() {
    let named = ClusterId::from_name("east");
    let text = r#"{"validators":[{"cluster":"east"},{"cluster":7},{}]}"#;
    let names = crate::ledger::genesis::cluster_names(text);
    assert_eq!(names.get(&named).map(String::as_str), Some("east"));
    assert_eq!(names.len(), 1);
    assert!(crate::ledger::genesis::cluster_names("no JSON").is_empty());
}

#[tokio::test]
async fn what_time_does_not_mend_is_not_worth_a_retry() {
    for (rejection, reason) in [
        (Rejection::Taken(3), "tx_sequence_taken"),
        (
            Rejection::TooFarAhead {
                sequence: 99,
                next: 2,
            },
            "tx_too_far_ahead",
        ),
        (Rejection::ValidTooLong(Height(9)), "tx_valid_too_long"),
        (Rejection::Invalid(Invalid::Used(1, 2)), "tx_sequence_used"),
        (Rejection::Invalid(Invalid::Quota), "tx_quota_used"),
    ] {
        let answer = refused_with(rejection).await;
        let problem = answer.refused(422, "ledger/tx-rejected");
        assert_eq!(problem["error"]["details"]["reason"], reason);
        assert_eq!(problem["retryable"], false);
    }
}
