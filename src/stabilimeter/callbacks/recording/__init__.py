"""What becomes of measurements: where a record goes, what is in it, incidents as they happen."""
