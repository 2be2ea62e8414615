//! The operations, one a file.

mod add_tags;
mod create_model;
mod create_transform_job;
mod delete_model;
mod delete_tags;
mod describe_model;
mod describe_transform_job;
mod endpoint_configs;
mod endpoints;
mod list_models;
mod list_tags;
mod list_transform_jobs;
mod stop_transform_job;
