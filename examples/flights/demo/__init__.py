"""The demo of the flights pipeline: `cargo xtask demo`."""
