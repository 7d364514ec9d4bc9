"""A model to a file of another format, read back and compared."""
