"""Duplicates, leaks, conflicting labels, unusual images."""
