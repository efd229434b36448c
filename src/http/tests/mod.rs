//! Tests of the whole server: `router` and `config` call it without a socket, `socket` over real ones, `times` against a
//! paused clock.

mod config;
mod fixture;
mod router;
mod socket;
mod times;
