"""Duplicates, leaks, conflicting labels and unusual images."""
