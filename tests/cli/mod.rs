//! The command line.

mod check;
mod component_builder;
mod configuration;
mod demo;
mod documentation;
mod new;
mod readme;
