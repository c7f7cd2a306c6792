//! The verdicts of our search for a linear order beside those of the tester that
//! comes with the model checker `stateright`.
//!
//! There each operation runs on a thread of its own, because a thread with a call
//! that never returns cannot call again. A call without an answer stays in
//! flight: the tester may place it anywhere after its invocation, or nowhere.

use stateright::semantics::{ConsistencyTester as _, LinearizabilityTester, SequentialSpec};

use super::checkers::{is_linearizable, operation};
use crate::history::{Operation, Requires, Step};
use crate::rng::{Domain, Stream};

/// One key, as its sequential specification.
#[derive(Debug, Clone)]
struct Key(u64);

#[derive(Debug, Clone)]
enum Call {
    Read,
    Write { value: u64, requires: Requires },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Saw(u64),
    Applied(bool),
}

impl SequentialSpec for Key {
    type Op = Call;
    type Ret = Answer;

    fn invoke(&mut self, call: &Call) -> Answer {
        match call {
            Call::Read => Answer::Saw(self.0),
            Call::Write { value, requires } => {
                let holds = match requires {
                    Requires::Nothing => true,
                    Requires::Value(wanted) => self.0 == *wanted,
                    Requires::Present => self.0 != 0,
                };
                if holds {
                    self.0 = *value;
                }
                Answer::Applied(holds)
            }
        }
    }
}

fn call_and_answer(step: Step) -> (Call, Answer) {
    match step {
        Step::Read(seen) => (Call::Read, Answer::Saw(seen)),
        Step::Write { value, requires } => (Call::Write { value, requires }, Answer::Applied(true)),
    }
}

fn by_stateright(operations: &[Operation]) -> bool {
    let mut events: Vec<(u64, usize, bool)> = Vec::new();
    for (number, operation) in operations.iter().enumerate() {
        events.push((operation.invoked, number, false));
        events.extend(operation.returned.map(|at| (at, number, true)));
    }
    events.sort_unstable();
    let mut tester = LinearizabilityTester::new(Key(0));
    for (_, number, returns) in events {
        let (call, answer) = call_and_answer(operations[number].step);
        let taken = match returns {
            false => tester.on_invoke(number, call),
            true => tester.on_return(number, answer),
        };
        taken.expect("each thread calls once and returns at most once");
    }
    tester.is_consistent()
}

/// What some order of the calls would have answered, now and then with one answer
/// exchanged: close to the border between right and wrong.
fn plausible_history(stream: &mut Stream) -> Vec<Operation> {
    let count = stream.range(2, 9);
    let mut value = 0;
    let mut operations = Vec::new();
    for number in 0..count {
        // The effect is at a stamp of its own, between question and answer.
        let effect = 100 + number * 10;
        let invoked = effect - stream.range(1, 30) * 2 - 1;
        let answered = effect + stream.range(0, 30) * 2;
        let step = match stream.range(0, 3) {
            0 => Step::Read(value),
            1 => {
                let requires = Requires::Value(value);
                value = number + 1;
                Step::Write { value, requires }
            }
            _ => {
                value = number + 1;
                let requires = Requires::Nothing;
                Step::Write { value, requires }
            }
        };
        let returned = stream.chance(850_000).then_some(answered);
        operations.push(operation(number, invoked, returned, step));
    }
    if stream.chance(500_000) {
        let at = usize::try_from(stream.range(0, count - 1)).expect("small");
        if let Step::Read(seen) = &mut operations[at].step {
            *seen = stream.range(0, count);
        }
    }
    operations
}

/// Gives every invocation and every answer a stamp that no other has.
fn with_distinct_stamps(mut operations: Vec<Operation>) -> Vec<Operation> {
    let mut stamps: Vec<(u64, usize, bool)> = Vec::new();
    for (number, operation) in operations.iter().enumerate() {
        stamps.push((operation.invoked, number, false));
        stamps.extend(operation.returned.map(|at| (at, number, true)));
    }
    stamps.sort_unstable();
    for (stamp, (_, number, returns)) in (1..).zip(stamps) {
        match returns {
            false => operations[number].invoked = stamp,
            true => operations[number].returned = Some(stamp),
        }
    }
    operations
}

#[test]
fn the_search_agrees_with_stateright() {
    let mut stream = Stream::new(7, Domain::Workload);
    let mut counts = [0, 0];
    for round in 0..10_000 {
        let history = match round % 2 {
            0 => super::checkers::random_history(&mut stream),
            _ => with_distinct_stamps(plausible_history(&mut stream)),
        };
        let expected = by_stateright(&history);
        assert_eq!(is_linearizable(&history), expected, "{history:#?}");
        counts[usize::from(expected)] += 1;
    }
    let [broken, sound] = counts;
    println!("stateright agrees on {sound} linearizable and {broken} other histories");
    assert!(
        broken > 2_000 && sound > 2_000,
        "both kinds occur: {counts:?}"
    );
}
