//! The operations.

mod create_schedule;
mod groups;
mod list_schedules;
mod schedules;
mod tags;

/// Page size asked for, of at most a hundred.
fn page_size(asked: Option<i32>) -> usize {
    usize::try_from(asked.unwrap_or(100)).unwrap_or(100).clamp(1, 100)
}
