"""Parquet tables of encoded images, read in a process of their own."""
