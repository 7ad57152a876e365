"""From records to scores, groups and a summary. No torch."""
