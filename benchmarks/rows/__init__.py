"""One script a row of the table in docs/performance.md."""
