//! The engines of others: Locust clusters, and k6.
//!
//! Locust clusters take minutes, and so run only when asked for, as in CI:
//!
//!     cargo test --test engines -- --include-ignored
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]

mod k6;
mod k6_front;
mod locust;
mod places;
