//! A node, and three of them, over disks and a network that do no harm. What
//! faults do to them is the simulator's business.

mod cases;
mod cluster;
mod golden;
mod modules;
mod newer;
mod proofs;
mod reads;
mod wire;
