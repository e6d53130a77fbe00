"""Packs the files of a registry version into one folder.

model/      a pyfunc model from code (`tasks/served.py`), without pickle; model/artifacts/bundle is the bundle
papers/     signature, provenance and bill of materials of the bundle
seen.txt    digests of the rows it was trained on or selected by; the judge excludes them from comparisons
profile.safetensors   reference profile of its data, for later drift checks (`tasks/drift.py`)
"""

import importlib.metadata
import shutil
import warnings
from pathlib import Path
from typing import Any

import yaml

from eibert import artifact
from eibert.errors import MissingArtifactError
from eibert.matching import HeldOut
from eibert.runtime.bundle import Bundle, read_bundle
from tasks import facts

MODEL, PAPERS, SEEN, PROFILE = "model", "papers", "seen.txt", "profile.safetensors"
BUNDLE = f"{MODEL}/artifacts/{facts.BUNDLE}"

_NOTE = "registered_model_meta"
_CODE = Path(__file__).with_name("served.py")
_LIBRARIES = ("mlflow", "numpy", "onnxruntime", "pandas", "tokenizers")
_EXAMPLES = ("an example", "another one")


def pack(bundle: Path, papers: Path, seen: HeldOut, target: Path, *, profile: Path | None = None) -> str:
    """Writes the folder of a version and returns the digest of all its files.

    Args:
        bundle: Folder that ships; its name is `bundle`.
        papers: Folder of its papers; skipped if missing.
        seen: The rows it was trained on or selected by.
        target: Folder to create.
        profile: Reference profile of its data; skipped if missing.

    Raises:
        BundleError: the bundle cannot be read.
    """
    target.mkdir(parents=True)
    _save_model(bundle, target / MODEL)
    if papers.is_dir():
        shutil.copytree(papers, target / PAPERS)
    if profile is not None and profile.is_file():
        shutil.copyfile(profile, target / PROFILE)
    (target / SEEN).write_text("".join(f"{digest}\n" for digest in sorted(seen.digests)), encoding="ascii")
    return digest(target)


def digest(folder: Path) -> str:
    """Returns one digest of all files in a folder and their relative paths."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return facts.digest_of({path.relative_to(folder).as_posix(): artifact.sha256(path) for path in paths})


def clean(folder: Path) -> None:
    """Removes what loading a version in place adds to its files: MLflow's metadata file and compiled code."""
    (folder / MODEL / _NOTE).unlink(missing_ok=True)
    shutil.rmtree(folder / MODEL / "__pycache__", ignore_errors=True)


def read_seen(folder: Path) -> HeldOut:
    """Returns the rows that a version was trained on or selected by.

    Raises:
        MissingArtifactError: the folder does not list them.
    """
    path = folder / SEEN
    if not path.is_file():
        raise MissingArtifactError(f"{path}: missing; not a version registered by eibert")
    return HeldOut(frozenset(path.read_text(encoding="ascii").split()))


def _save_model(bundle: Path, target: Path) -> None:
    about, _ = read_bundle(bundle)
    columns = ("text", "text_b") if about.pair else ("text",)
    requirements = [f"{name}=={importlib.metadata.version(name)}" for name in _LIBRARIES]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlflow warns about its own type hints
        import mlflow.pyfunc
        import pandas as pd

        mlflow.pyfunc.save_model(
            target, python_model=_CODE, artifacts={facts.BUNDLE: str(bundle.absolute())}, signature=_signature(about),
            input_example=pd.DataFrame({name: [text] for name, text in zip(columns, _EXAMPLES, strict=False)}),
            pip_requirements=requirements,
        )  # fmt: skip
    _forget_this_machine(target / "MLmodel")


def _signature(about: Bundle) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    inputs = [ColSpec(DataType.string, name) for name in (("text", "text_b") if about.pair else ("text",))]
    answers = [ColSpec(DataType.string, "label"), ColSpec(DataType.double, "score")]
    outputs = answers if about.labels else [ColSpec(DataType.double, "value")]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def _forget_this_machine(path: Path) -> None:
    """Removes absolute paths of this machine from the model's description."""
    described = yaml.safe_load(path.read_text(encoding="utf-8"))
    flavor = described["flavors"]["python_function"]
    flavor["model_code_path"] = _CODE.name
    flavor["artifacts"][facts.BUNDLE]["uri"] = flavor["artifacts"][facts.BUNDLE]["path"]
    path.write_text(yaml.safe_dump(described), encoding="utf-8")
