//! The command line.

mod check;
mod configuration;
mod demo;
mod documentation;
mod readme;
