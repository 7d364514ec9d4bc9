"""Labelled images from a named source, a folder, a table or arrays."""
