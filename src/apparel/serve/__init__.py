"""A Predictor as an HTTP API and a page."""
