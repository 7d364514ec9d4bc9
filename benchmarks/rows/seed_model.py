"""The first program's network and optimiser in apparel: images a second, and the same accuracy.

Without averaged weights, as plain Keras has none.
"""

from benchmarks.record import Row, main

ROW = Row(
    name="seed_model",
    title="the same network, apparel, last step's weights",
    options={"model_name": "cnn", "weight_averaging": 0.0},
)

if __name__ == "__main__":
    main(ROW)
