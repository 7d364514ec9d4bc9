"""94.2 % within 0.8 T."""

from benchmarks.record import Row, main

ROW = Row(
    name="within_0_8_t",
    title="`--model fast --width 48 --epochs 8`: 94.2 % within 0.8 T",
    options={"model_name": "fast", "width": 48, "epochs": 8},
    target=0.942,
    limit=0.8,
)

if __name__ == "__main__":
    main(ROW)
