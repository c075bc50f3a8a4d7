//! One file for each command.

pub mod bench;
pub mod compare;
pub mod correlate;
pub mod embed;
pub mod evaluate;
pub mod inspect;
pub mod layers;
pub mod states;
