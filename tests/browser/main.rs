//! The operators' page as people use it: in a headless Chromium, with an engine of its own behind it.

#![expect(clippy::expect_used, reason = "a test's way to say that this must not happen")]

#[path = "../support/mod.rs"]
mod support;

mod accessibility;
mod chromium;
mod open_page;
mod sale;
mod silence;
mod webdriver;
