mod cases;
mod check;
mod cluster;
mod disk;
mod props;
