"""Errors, settings, records, validation, files, backend: for every room to import."""
