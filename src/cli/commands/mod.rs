//! One file for each command.

pub mod bench;
pub mod compare;
pub mod inspect;
pub mod layers;
pub mod run;
