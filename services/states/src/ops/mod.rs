//! The operations, one file each.

mod create_state_machine;
mod delete_state_machine;
mod describe_execution;
mod describe_map_run;
mod describe_state_machine;
mod describe_state_machine_for_execution;
mod get_execution_history;
mod list_executions;
mod list_map_runs;
mod list_state_machines;
mod redrive_execution;
mod send_task;
mod start_execution;
mod start_sync_execution;
mod stop_execution;
mod tags;
mod update_map_run;
mod update_state_machine;
mod validate_state_machine_definition;
mod versions;
