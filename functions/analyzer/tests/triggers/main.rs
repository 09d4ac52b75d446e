//! The triggers through their real routes, over a real embedded store.

mod drain;
mod push;
mod shutdown;
mod world;
