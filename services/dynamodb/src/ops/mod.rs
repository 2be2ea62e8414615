//! One operation, one file.

mod backups;
mod batch_get_item;
mod batch_write_item;
mod continuous_backups;
mod create_table;
mod delete_item;
mod delete_table;
mod describe_endpoints;
mod describe_limits;
mod describe_table;
mod get_item;
mod list_tables;
mod partiql;
mod put_item;
mod query;
mod resource_policy;
mod restores;
mod scan;
mod settings;
mod streams;
mod tags;
mod time_to_live;
mod transact_get_items;
mod transact_write_items;
mod update_item;
mod update_table;
