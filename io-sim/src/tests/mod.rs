//! Tests of the simulator itself, against a machine that is known to be right.

mod checkers;
mod toy;
mod world;
