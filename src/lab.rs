//! The laboratory: whole searches against simulated systems whose breakpoint is known, in virtual
//! time.
//!
//! [`system`] is the only place that knows the simulator. [`truth`] says where a system breaks, by
//! formula or by long simulation. [`method`] holds our search and the policies that other tools
//! search by. [`runner`] runs them on all cores. It draws and writes nothing:
//! [`crate::report::lab`] renders what comes out.

pub mod method;
pub mod named;
pub mod pairs;
pub mod random;
pub mod runner;
mod seed;
pub mod system;
mod trial;
pub mod truth;
