//! Who tells whom what: all there is between the protocols of a node.
//!
//! A notice of one part becomes events of others here, and nowhere else, in the words of
//! whoever is told. A notice is volatile: a crash may lose or repeat it, and an installed
//! snapshot or a fetched state gives one `Replaced` instead of all that it jumps over. So
//! what must not be lost lies in the producer's durable state, and each link names its
//! consumer's durable cursor, from which the consumer reads on when it is ready, where a
//! notice leads further than to what comes next, and at `Replaced`. No link rests on two
//! volumes being written together.
//!
//! Who reads on says so by a notice as well, at a wake or an answer of its volume and never
//! in the step of a link; the producer reads its own store, and answers by a notice when
//! that has answered. So what a link causes is a notice again only after the shell was
//! asked, and the rounds of a step are few.
//!
//! | notice | goes to | the consumer's cursor |
//! |---|---|---|
//! | `ledger: Final` | `toy`; checkers and metrics look at it | the height in its position |
//! | `ledger: Replaced` | `toy`; checkers look at it | the same |
//! | `ledger: Run` | the reader that it names | the same |
//! | `ledger: Forked` | nobody: the ledger halts | – |
//! | `toy: ReadOn` | `ledger`, as a reader | the same |
//!
//! The toy is there for tests alone. In a program nobody reads on.

use alloc::collections::VecDeque;

use super::parts::{Link, Notice};
use crate::ledger;
#[cfg(feature = "toy")]
use crate::toy;

/// What follows from a notice.
pub(super) fn follow(notice: &Notice, links: &mut VecDeque<Link>) {
    match notice {
        Notice::Cluster(notice) => match *notice {},
        Notice::Ledger(notice) => follow_ledger(notice, links),
        #[cfg(feature = "toy")]
        Notice::Toy(notice) => links.push_back(follow_toy(notice)),
    }
}

#[cfg(not(feature = "toy"))]
const fn follow_ledger(notice: &ledger::Notice, _links: &mut VecDeque<Link>) {
    match notice {
        ledger::Notice::Final(_)
        | ledger::Notice::Replaced { .. }
        | ledger::Notice::Run(_)
        | ledger::Notice::Forked { .. } => {}
    }
}

/// The toy among those who read the ledger.
#[cfg(feature = "toy")]
const TOY: ledger::Reader = ledger::Reader(0);

#[cfg(feature = "toy")]
fn follow_ledger(notice: &ledger::Notice, links: &mut VecDeque<Link>) {
    links.push_back(Link::Toy(match notice {
        ledger::Notice::Final(block) => toy::Link::Final {
            height: block.height(),
            hash: block.block.hash(),
        },
        ledger::Notice::Replaced { at } => toy::Link::Replaced { at: *at },
        ledger::Notice::Run(run) => {
            assert_eq!(run.reader, TOY, "nobody else reads");
            toy::Link::Run {
                after: run.after,
                blocks: run.blocks.iter().map(|one| one.block.hash()).collect(),
                is_last: run.is_last,
            }
        }
        ledger::Notice::Forked { .. } => return,
    }));
}

#[cfg(feature = "toy")]
const fn follow_toy(notice: &toy::Notice) -> Link {
    match *notice {
        toy::Notice::ReadOn { after, bytes_max } => {
            Link::Ledger(ledger::Link::ReadOn(ledger::ReadOn {
                reader: TOY,
                after,
                bytes_max,
            }))
        }
        toy::Notice::Echo => Link::Toy(toy::Link::Echo),
    }
}
