//! Runs compiled kernels.
