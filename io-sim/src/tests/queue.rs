//! The queue against a sorted list.

use super::{Queue, Tie};
use crate::rng::{Domain, Stream};

#[test]
fn events_leave_in_order() {
    let mut stream = Stream::new(1, Domain::Tie);
    let mut queue = Queue::new();
    let mut model: Vec<(u64, Tie, u64)> = Vec::new();
    for number in 0..20_000_u64 {
        if stream.chance(600_000) {
            let time = stream.range(0, 500);
            let tie = if stream.coin() { Tie(0) } else { Tie::LAST };
            queue.push(time, tie, number);
            model.push((time, tie, number));
        } else {
            let least = (0..model.len()).min_by_key(|at| model[*at]);
            let expected = least.map(|at| model.remove(at));
            let taken = queue.pop();
            assert_eq!(taken, expected.map(|(time, _, number)| (time, number)));
        }
        assert_eq!(queue.len(), model.len());
        assert_eq!(
            queue.next_time(),
            model.iter().min().map(|(time, _, _)| *time)
        );
    }
}
