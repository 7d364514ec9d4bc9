"""Findings in plain words, and which pixels mattered."""
