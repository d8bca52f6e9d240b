//! The console in a real browser: its pages are opened, clicked through and written to as a person does, on systems that run.
//!
//! [`chrome`] is the browser, [`page`] what somebody sees of it, [`shop`] the system that is looked at. These tests need Debian's
//! `chromium` and `chromium-driver`, and so are only there with the feature `conformance`, as in CI. What a page showed when a test of
//! it failed lies in `target/tmp/browser`, as a picture and as text.

mod chrome;
mod deeds;
mod door;
mod hostile;
mod live;
mod logs;
mod page;
mod pages;
mod reading;
mod shop;
mod telemetry;
