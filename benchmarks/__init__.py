"""Measured accuracy and speed: see README.md."""
