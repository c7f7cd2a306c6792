mod cases;
mod check;
mod cluster;
mod directed;
mod liar;
#[cfg(feature = "mutants")]
mod mutants;
mod props;
mod scenarios;
mod solo;
