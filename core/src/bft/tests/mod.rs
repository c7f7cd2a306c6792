mod cases;
mod check;
mod cluster;
mod liar;
mod props;
