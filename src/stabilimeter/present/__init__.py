"""From a summary to something a person or a CI job reads. Computes no statistic."""
