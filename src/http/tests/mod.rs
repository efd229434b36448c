//! Tests of the whole server: `router`, `config`, `page` and `events` call it without a socket, `socket` over real ones,
//! `times` against a paused clock. `walk` tries every refusal at every
//! route, and `described` holds what the router answers against the document.

mod config;
mod described;
mod events;
mod fixture;
mod page;
mod router;
mod socket;
mod times;
mod walk;
