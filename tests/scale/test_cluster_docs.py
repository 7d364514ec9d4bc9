"""The examples of docs/cluster.md: commands that the program takes, and files for clusters."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from apparel.cli.arguments import parser

PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
FILES = [yaml.safe_load(text) for kind, text in BLOCKS if kind == "yaml"]


def commands():
    """Every call of apparel in a block of commands."""
    text = "\n".join(text for kind, text in BLOCKS if kind == "sh").replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip().startswith("apparel ")]


@pytest.mark.parametrize("command", commands())
def test_commands_are_ones_that_the_program_takes(command):
    words = shlex.split(command, comments=True)[1:]
    assert parser().parse_args(words).command == words[0]


def test_the_job_runs_a_command_that_the_program_takes_on_shared_storage():
    job = FILES[1]
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    words = shlex.split(job["spec"]["entrypoint"])
    asked = parser().parse_args(words[1:])
    groups = job["spec"]["rayClusterSpec"]
    pods = [groups["headGroupSpec"], *groups["workerGroupSpecs"]]
    for pod in pods:
        (container,) = pod["template"]["spec"]["containers"]
        (mount,) = container["volumeMounts"]
        assert asked.run_dir.is_relative_to(mount["mountPath"])
        assert (
            container["image"]
            == groups["headGroupSpec"]["template"]["spec"]["containers"][0]["image"]
        )
