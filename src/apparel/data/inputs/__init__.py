"""Images to predict: `finding` lists them, and `shards` divides them."""
