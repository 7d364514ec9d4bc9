"""95.0 % within 4 T, hoped for within 1.5 T."""

from benchmarks.record import Row, main

ROW = Row(
    name="within_4_t",
    title="`--model fast --width 64 --epochs 16`: 95.0 % within 4 T, hoped for within 1.5 T",
    options={"model_name": "fast", "width": 64, "epochs": 16},
    target=0.95,
    limit=4,
)

if __name__ == "__main__":
    main(ROW)
