"""A `Report` → one HTML file that needs no other, and a model card for Hugging Face."""

from apparel.reporting.card import model_card
from apparel.reporting.html.page import html

__all__ = ["html", "model_card"]
