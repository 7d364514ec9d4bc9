"""Parquet files of encoded images: `reader` reads them, `process` does so in a subprocess."""
