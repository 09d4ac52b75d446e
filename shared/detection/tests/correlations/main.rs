//! Every type of correlation, from rule files and log lines to threats.

mod bounds;
mod chains;
mod counts;
mod loading;
mod numbers;
mod streams;
mod temporal;
mod time;
mod world;
