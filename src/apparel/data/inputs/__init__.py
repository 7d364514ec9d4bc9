"""Images to predict: `finding` lists them, `shards` divides them, `storage` reaches URLs."""
