//! The binary as a person uses it.

mod configuration;
mod demo;
mod readme;
