"""An exported ONNX file → probabilities, without TensorFlow or Keras in the process."""

from apparel.predict.engine import IMAGES, NOVELTY, PROBABILITIES
from apparel.predict.model_file import ModelFile, read_model
from apparel.predict.predictor import Predictor, load
from apparel.predict.reading import read_image

__all__ = [
    "IMAGES",
    "NOVELTY",
    "PROBABILITIES",
    "ModelFile",
    "Predictor",
    "load",
    "read_image",
    "read_model",
]
