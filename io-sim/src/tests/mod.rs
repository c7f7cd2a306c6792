//! Tests of the simulator itself, against a machine that is known to be right.

mod checkers;
mod faults;
mod guards;
mod guests;
mod second_opinion;
mod toy;
mod world;
