"""Parts of `SpikeGuard`."""
