"""The runtimes of exported models report nothing to their vendors."""

import os
import re
import subprocess
import sys
from pathlib import Path

from apparel.core import inference_runtimes


def test_openvino_is_imported_without_what_reports_it():
    code = (
        "import sys; from apparel.core.inference_runtimes import load_openvino; "
        "openvino = load_openvino(); "
        "print(openvino.__version__[:4], sorted(n for n in sys.modules if 'telemetry' in n "
        "or n.startswith('openvino.tools.ovc')), load_openvino() is openvino)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    version, *rest = done.stdout.split()
    assert int(version) >= 2026
    assert rest == ["[]", "True"]


def test_onnx_runtime_leaves_no_file_by_which_it_would_report(tmp_path):
    code = (
        "from apparel.core.inference_runtimes import load_onnxruntime; "
        "print(load_onnxruntime().__version__)"
    )
    named = {
        name: value for name, value in os.environ.items() if name != inference_runtimes.SILENCE
    }
    subprocess.run([sys.executable, "-c", code], env={**named, "TMPDIR": str(tmp_path)}, check=True)
    assert list(tmp_path.iterdir()) == []


def test_nothing_imports_a_runtime_in_another_way():
    imports = re.compile(r"^\s*(?:import|from) (?:onnxruntime|openvino)\b", re.MULTILINE)
    source = Path(inference_runtimes.__file__).parents[1]
    texts = {path: path.read_text(encoding="utf-8") for path in source.rglob("*.py")}
    found = [path for path, text in texts.items() if imports.search(text)]
    # Its tools have no other way, once the runtime is there.
    assert [path.name for path in found] == ["quantisation.py"]
    text = texts[found[0]]
    assert 0 < text.find("    load_onnxruntime()") < imports.search(text, text.find("def ")).start()
