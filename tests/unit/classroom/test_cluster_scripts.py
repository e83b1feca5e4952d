"""The job scripts of docs/clusters.md: shells and Python can read them, and their words exist."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from distributed.cli.dask_scheduler import main as scheduler
from distributed.cli.dask_worker import main as worker

PAGE = (Path(__file__).parents[3] / "docs" / "clusters.md").read_text("utf-8")
BLOCKS = re.findall(r"```(sh|python|yaml)\n(.*?)```", PAGE, re.DOTALL)


def _options(command: object) -> set[str]:
    return {name for param in command.params for name in (*param.opts, *param.secondary_opts)}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("language", "text"), BLOCKS)
def test_a_script_can_be_read(language: str, text: str) -> None:
    if language == "sh":
        subprocess.run(["bash", "-n"], input=text, text=True, check=True, capture_output=True)
    elif language == "python":
        ast.parse(text)
    else:
        assert yaml.safe_load(text)["kind"] == "DaskCluster"


def test_every_option_given_to_dask_exists() -> None:
    text = PAGE.replace("\\\n", " ")
    for program, command in (("scheduler", scheduler), ("worker", worker)):
        used = {
            option
            for line in re.findall(rf"dask,? {program}\b([^&\n\]]*)", text)
            for option in re.findall(r"--[a-z-]+", line)
        }
        assert used
        assert used <= _options(command)
