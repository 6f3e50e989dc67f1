//! Shobai: an actor-system commerce engine.

pub mod actors;
pub mod config;
pub mod engine;
pub mod error;
pub mod seed;
pub mod storage;
pub mod types;
