//! The command line.

mod check;
mod component_builder;
mod configuration;
mod demo;
pub mod documentation;
mod new;
mod readme;
