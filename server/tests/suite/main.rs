//! The server from outside: real sockets on this machine, with a client that can be slow and wrong.

mod admin;
mod answers;
mod client;
mod components;
mod ends;
mod example;
mod fairness;
mod malformed;
mod quotas;
mod reload;
mod security;
mod serving;
#[cfg(feature = "otlp")]
mod traces;
mod watching;
