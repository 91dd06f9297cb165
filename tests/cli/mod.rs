//! The binary as a person uses it.

mod check;
mod configuration;
mod demo;
mod readme;
