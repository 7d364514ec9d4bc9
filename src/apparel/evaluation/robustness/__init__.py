"""Accuracy on corrupted and attacked images."""
