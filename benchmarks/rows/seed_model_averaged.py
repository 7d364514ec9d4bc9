"""The first program's network and optimiser in apparel, as `apparel run` trains it."""

from benchmarks.record import Row, main

ROW = Row(
    name="seed_model_averaged",
    title="the same network, apparel's default",
    options={"model_name": "cnn"},
)

if __name__ == "__main__":
    main(ROW)
