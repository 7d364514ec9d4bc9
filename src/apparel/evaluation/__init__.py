"""Probabilities and labels to metrics with intervals."""
