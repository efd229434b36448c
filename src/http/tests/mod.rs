//! Tests of the whole server: `router`, `config`, `page` and `events` call it without a socket, `socket` over real ones, `times` against a
//! paused clock.

mod config;
mod events;
mod fixture;
mod page;
mod router;
mod socket;
mod times;
