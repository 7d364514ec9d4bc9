"""The examples of docs/cluster.md: commands that the program takes, and files for clusters."""

import re
import shlex
from pathlib import Path

import yaml

from apparel.cli.arguments import parser

PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
FILES = [yaml.safe_load(text) for kind, text in BLOCKS if kind == "yaml"]


def test_commands_are_ones_that_the_program_takes():
    text = "\n".join(text for kind, text in BLOCKS if kind == "sh").replace("\\\n", " ")
    commands = re.findall(r"^ *apparel (.+)$", text, re.MULTILINE)
    assert len(commands) > 5
    for command in commands:
        words = shlex.split(command, comments=True)
        assert parser().parse_args(words).command == words[0]


def test_the_job_runs_a_command_that_the_program_takes_on_shared_storage():
    job = FILES[1]
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    words = shlex.split(job["spec"]["entrypoint"])
    asked = parser().parse_args(words[1:])
    groups, images = job["spec"]["rayClusterSpec"], set()
    for pod in [groups["headGroupSpec"], *groups["workerGroupSpecs"]]:
        (container,) = pod["template"]["spec"]["containers"]
        (mount,) = container["volumeMounts"]
        assert asked.run_dir.is_relative_to(mount["mountPath"])
        images.add(container["image"])
    assert len(images) == 1
