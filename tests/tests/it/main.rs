//! The one integration binary; every module boots real parts through the harness.

mod harness;
