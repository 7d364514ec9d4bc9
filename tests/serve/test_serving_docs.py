"""docs/serving.md: its examples run, and its limits are those of the program."""

import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.serving.server import png

from apparel.predict.predictor import Predictor
from apparel.serve.limits import Limits
from tests.made_model import MadeModel

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")


def test_the_example_asks_a_server(serving_here, tmp_path):
    made = MadeModel(tmp_path / "clothes.onnx", (28, 28, 1))
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    with serving_here(Predictor(made.path), "clothes") as server:
        code = code.replace("8000", str(server.port))
        printed = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        image = png(made.images(1)[0])
        answer = server.predict(("coat.jpg", image), query="?explain=true&raw=true")
    assert printed == "3 1.0\n"
    (found,) = answer.json["predictions"]
    shown = re.findall(r'"(\w+)":', re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
    assert set(shown) - {"predictions", "Coat"} <= found.keys()
    assert found.keys() - set(shown) == {"image", "map"}


def test_the_limits_are_as_they_say():
    rows = dict(re.findall(r"^\| `(--[\w-]+)` \| ([\d,]+)", PAGE, flags=re.MULTILINE))
    said = {option: int(value.replace(",", "")) for option, value in rows.items()}
    limits = asdict(Limits())
    assert said == {
        "--max-body": limits["body_bytes"] >> 20,
        "--max-images": limits["images"],
        "--max-pixels": limits["pixels"],
        "--read-timeout": limits["read_seconds"],
        "--answer-timeout": limits["answer_seconds"],
        "--max-connections": limits["connections"],
        "--queue": limits["queue"],
    }
