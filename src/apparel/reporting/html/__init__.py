"""A report as an HTML page that needs no other file."""
