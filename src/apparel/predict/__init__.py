"""An exported ONNX file → probabilities, without TensorFlow or Keras in the process."""

from apparel.predict.engine import IMAGES, NOVELTY, PROBABILITIES
from apparel.predict.predictor import Predictor, load
from apparel.predict.reading import read_image

__all__ = ["IMAGES", "NOVELTY", "PROBABILITIES", "Predictor", "load", "read_image"]
