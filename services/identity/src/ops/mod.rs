//! IAM's and STS's operations, a file per resource.

mod policies;
mod role_policies;
mod roles;
mod sts;
