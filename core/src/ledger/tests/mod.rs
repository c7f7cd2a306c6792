mod cases;
mod check;
mod cluster;
mod disk;
mod history;
mod operations;
mod props;
mod pruning;
