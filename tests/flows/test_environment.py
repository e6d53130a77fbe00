"""Settings read from the environment."""

import os
from pathlib import Path

import pytest

from flows.environment import prepare


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("sqlite:///rel.db", "sqlite:///{here}/rel.db"),
        ("sqlite:///sub/rel.db", "sqlite:///{here}/sub/rel.db"),
        ("sqlite:////abs.db", "sqlite:////abs.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("runs", "{here}/runs"),
        ("file:runs", "file:{here}/runs"),
        ("/runs", "/runs"),
        ("http://me:secret@host:5000", "http://me:secret@host:5000"),
        ("databricks", "databricks"),
        ("databricks://profile", "databricks://profile"),
    ],
)
def test_relative_address_of_the_record_starts_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", dict(os.environ) | {"MLFLOW_TRACKING_URI": given})
    prepare(tmp_path)
    assert os.environ["MLFLOW_TRACKING_URI"] == expected.format(here=tmp_path)
