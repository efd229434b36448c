//! The HTTP server: what an operator may ask, for people, programs and Prometheus.
//!
//! It knows [`Control`](crate::control::Control) and no stage. In the order that a request meets
//! them: `server` takes connections within their limit, `connection` holds each to its times and sizes, `guard`
//! decides who may ask what, `routes` has every route on one screen, `answers`, `config`, `stream`, `page` and
//! `events` answer, the last two with what `live` sees. Why something was
//! refused is one closed list in `reason`. Errors are `application/problem+json` with a stable `code`. There are no
//! CORS fields, ever: no page of another site has business here.

mod accept;
mod answers;
mod config;
mod connection;
mod events;
mod guard;
mod host;
mod live;
mod metrics;
mod page;
mod patient;
mod problem;
mod reason;
mod routes;
mod seats;
mod server;
mod settings;
mod stream;
#[cfg(test)]
mod tests;
mod token;

pub use metrics::Metrics;
pub use server::serve;
pub use settings::{Config, Writes};
