"""A `Report` → one HTML file that needs no other, and a model card for Hugging Face."""

from apparel.report.card import model_card
from apparel.report.page import html

__all__ = ["html", "model_card"]
