//! Tests of the simulator itself, against a machine that is known to be right.

mod checkers;
mod faults;
mod toy;
mod world;
