//! The HTTP server: what an operator may ask, for people, programs and Prometheus.
//!
//! It knows [`Control`](crate::control::Control) and no stage. In the order that a request meets them: `server` takes
//! connections within their limit, `connection` holds each to its times and sizes, `guard` decides who may ask what,
//! `routes` has every route in one table, `answers`, `config`, `partners`, `stream`, `topics`, `page` and `events` answer,
//! the last two with what `live` sees; what goes on, goes on in `streaming`. What each route takes and may answer stands in the same table (`operation`), and
//! `openapi` tells it to programs. Why something was refused is one closed list in `reason`, what handlers answer instead
//! one in `code`. Errors are `application/problem+json` with a stable `code`. There are no CORS fields, ever: no page of
//! another site has business here.
//!
//! It has a thread of its own: who asks does not wait until the line has time, nor does the line for those who ask. A health
//! check alone waits a while, since it asks whether the line has time at all.

mod accept;
mod answers;
mod code;
mod config;
mod connection;
mod events;
mod guard;
mod host;
mod live;
mod metrics;
mod openapi;
mod operation;
mod page;
mod partners;
mod patient;
mod problem;
mod query;
mod reason;
mod routes;
mod seats;
mod segment;
mod server;
mod settings;
mod stream;
mod streaming;
#[cfg(test)]
mod tests;
mod token;
mod topics;

pub use metrics::Metrics;
pub use server::serve;
pub use settings::{Config, Writes};
