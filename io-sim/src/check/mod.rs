//! The checkers: independent judges of what a run showed.
//!
//! They see facts, messages and answers, and restate every property with their
//! own arithmetic; none of them calls a production predicate.
//!
//! | file | holds |
//! |---|---|
//! | `raft/` | the safety of consensus, after every step |
//! | `ledger/` | the promises of the ledger |
//! | `guards.rs` | leases and locks, by the answers of clients |
//! | `linear.rs` | linearizability by search |
//! | `order.rs` | whether the order that answers claim explains them |
//! | `watches.rs` | what watchers saw |

pub mod guards;
pub mod history;
pub mod ledger;
pub mod linear;
pub mod order;
pub mod raft;
pub mod watches;
