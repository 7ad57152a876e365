"""Signals: one number (or one vector) per optimizer step, one file each."""
