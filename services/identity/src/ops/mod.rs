//! IAM's and STS's operations, a file per resource.

mod accessed;
mod account;
mod federation_token;
mod groups;
mod holders;
mod keys;
mod linked;
mod lookups;
mod oidc;
mod page;
mod policies;
mod profiles;
mod roles;
mod settings;
mod simulate;
mod sts;
mod tags;
mod users;
mod web_identity;
