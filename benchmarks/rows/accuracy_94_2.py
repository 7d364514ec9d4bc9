"""94.2 % within 0.8 T."""

from benchmarks.record import Row, main

ROW = Row(
    name="accuracy_94_2",
    title="94.2 %",
    options={"model_name": "fast", "width": 48, "epochs": 8},
    target=0.942,
    must=0.8,
    aim=1 / 4,
)

if __name__ == "__main__":
    main(ROW)
