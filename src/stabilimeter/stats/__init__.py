"""Statistics of training: pure functions of arrays, NumPy and SciPy only."""
