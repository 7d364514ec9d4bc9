"""Architectures by name, and what runs a model."""
