"""The contract on disk: what a run leaves behind, how it is written and how any training log is read."""
