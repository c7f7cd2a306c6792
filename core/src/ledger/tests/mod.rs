mod cases;
mod check;
mod cluster;
mod disk;
mod operations;
mod props;
mod trickle;
