"""From a model and splits to a trained model and its history."""
