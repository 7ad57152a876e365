"""Parts of `SeedSpread`."""
