"""Sections of the report, one file each; none imports another."""
