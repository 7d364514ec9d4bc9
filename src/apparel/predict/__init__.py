"""An exported ONNX file to probabilities, without TensorFlow or Keras in the process."""
