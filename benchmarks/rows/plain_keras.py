"""The first program in plain Keras, float32, 15 epochs: its time is T."""

from benchmarks.record import Row, main

ROW = Row(name="plain_keras", title="first program, plain Keras, float32", way="plain")

if __name__ == "__main__":
    main(ROW)
