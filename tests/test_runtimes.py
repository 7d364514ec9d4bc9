import subprocess
import sys


def test_openvino_is_imported_without_what_reports_it():
    code = (
        "import sys; from apparel.runtimes import load_openvino; openvino = load_openvino(); "
        "print(openvino.__version__[:4], sorted(n for n in sys.modules if 'telemetry' in n "
        "or n.startswith('openvino.tools.ovc')), load_openvino() is openvino)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    version, *rest = done.stdout.split()
    assert int(version) >= 2026
    assert rest == ["[]", "True"]
