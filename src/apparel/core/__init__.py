"""What every room may use: errors, settings, records, validation, files, backend."""
