//! Who tells whom what: all there is between the protocols of a node.
//!
//! A notice of one part becomes events of others here, and nowhere else. A notice is
//! volatile: a crash may lose or repeat it, and an installed snapshot or a fetched
//! state gives one `Replaced` instead of all that it jumps over. So what must not be
//! lost lies in the producer's durable state, and each link names its consumer's durable
//! cursor, from which the consumer reads on when it is ready and at `Replaced`. No link
//! rests on two volumes being written together.
//!
//! | notice | goes to | the consumer's cursor |
//! |---|---|---|
//! | `ledger: Final` | nobody yet; checkers and metrics look at it | – |
//! | `ledger: Replaced` | nobody yet; checkers look at it | – |
//! | `ledger: Forked` | nobody: the ledger halts | – |

use alloc::collections::VecDeque;

use super::parts::{Link, Notice};
use crate::ledger;

/// What follows from a notice.
pub(super) fn follow(notice: &Notice, _links: &mut VecDeque<Link>) {
    match notice {
        Notice::Cluster(notice) => match *notice {},
        Notice::Ledger(
            ledger::Notice::Final(_)
            | ledger::Notice::Replaced { .. }
            | ledger::Notice::Run(_)
            | ledger::Notice::Forked { .. },
        ) => {}
    }
}
