//! Statistics: blocks, trends, and the fit of the breakpoint over visits. Pure; `statrs` lives only
//! here.

mod blocks;
mod ends;
pub mod events;
pub mod fit;
mod linear;
pub mod normal;
pub mod permutation;
pub mod queue;
pub mod ratio;
pub mod scaling;
mod spread;
pub mod tail;
pub mod trend;
pub mod usl;
mod wilson;

pub use blocks::{in_blocks, sign_of_mean, student_t_quantile};
pub use ends::Ends;
pub use spread::Spread;
pub use wilson::wilson;
