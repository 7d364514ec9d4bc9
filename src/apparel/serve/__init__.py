"""A Predictor → an HTTP API and a page."""

from apparel.serve.server import Address, serve

__all__ = ["Address", "serve"]
