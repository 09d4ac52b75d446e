//! The model's interface over real connections, against a server that speaks its documented wire format.

mod fake;
mod key;
mod refusals;
mod vertex;
