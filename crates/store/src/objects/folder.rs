//! fsync of a folder, shared: whoever asks while one is running waits for the next, which serves all who wait.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

#[derive(Debug)]
pub(super) struct Folder {
    handle: File,
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    asked: u64,
    synced: u64,
    running: bool,
}

impl Folder {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { handle: File::open(path)?, state: Mutex::default(), done: Condvar::new() })
    }

    /// Blocks until a sync that began after this call has ended.
    pub(super) fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked += 1;
        let ticket = state.asked;
        while state.synced < ticket {
            if state.running {
                state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.running = true;
            let upto = state.asked;
            drop(state);
            let result = self.handle.sync_all();
            state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.running = false;
            self.done.notify_all();
            result?;
            state.synced = state.synced.max(upto);
        }
        Ok(())
    }
}
