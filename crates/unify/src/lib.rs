//! No code: depends on every third-party crate of the workspace, so that building one crate together with this one
//! (`cargo check -p states -p unify`) selects the same features as building all, and nothing is built twice.
