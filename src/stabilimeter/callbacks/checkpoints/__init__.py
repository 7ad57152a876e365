"""Parts of `CheckpointRegression`."""
