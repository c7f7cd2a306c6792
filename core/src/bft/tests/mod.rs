mod cases;
mod check;
mod cluster;
mod liar;
#[cfg(feature = "mutants")]
mod mutants;
mod props;
