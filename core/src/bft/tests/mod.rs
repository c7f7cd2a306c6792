mod asserts;
mod broken;
mod cases;
mod check;
mod cluster;
mod codec;
mod directed;
mod forks;
mod golden;
mod hostile;
mod liar;
mod model;
#[cfg(feature = "mutants")]
mod mutants;
mod props;
mod scenarios;
mod solo;
mod trickle;
