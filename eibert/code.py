"""Digests of the code and libraries that a stage's result depends on.

Reads source text and package metadata only: nothing is imported or run. Comments, docstrings (also of attributes),
formatting and import order do not count; every other change to a reached module does.
"""

import ast
import hashlib
import importlib.metadata
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from eibert.errors import RunError

PACKAGES = ("eibert", "tasks")
"""Project packages whose imports are followed; all other imports are libraries."""

REST = ""
"""Key for the digest of a module's statements outside its definitions."""

_DIGEST_DIGITS = 16
DISTRIBUTIONS = {"sklearn": "scikit-learn", "yaml": "PyYAML"}
"""Import name → distribution name, if the two differ."""
_SHAPES_NO_RESULT = {"filelock", "huggingface_hub", "psutil", "pydantic", "rich"}
_BENEATH = {
    "great_expectations": {"pandas"}, "onnx": {"protobuf"}, "sklearn": {"scipy"}, "transformers": {"tokenizers"},
}  # fmt: skip
"""Library → libraries that affect results through it without being imported by the project."""
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def project_root() -> Path:
    """Returns the folder that contains the packages eibert and tasks, wherever the workspace is."""
    return Path(__file__).resolve().parents[1]


@dataclass
class CodeReader:
    """Reads each module of a project once, for the digests of any number of stages.

    Attributes:
        root: Folder that contains the packages.
    """

    root: Path
    _modules: dict[str, "_Module | None"] = field(default_factory=dict)

    def digests(self, stage: str) -> dict[str, Any]:
        """Returns what the result of a stage depends on besides data and parameters.

        Returns:
            `modules`: path → definition → digest; `data`: path of a non-Python file beside the code → digest;
            `libraries`: import name → version without its local part. Paths are relative to the root.

        Raises:
            RunError: the stage has no adapter, or a module cannot be parsed.
        """
        if self._module(f"tasks.{stage}") is None:
            raise RunError(f"{self.root / 'tasks' / stage}.py: missing; each stage in dvc.yaml needs an adapter")
        reached = sorted(self._reach(f"tasks.{stage}"), key=lambda module: module.path)
        imported = {name for module in reached for name in module.libraries}
        imported |= {name for library in imported for name in _BENEATH.get(library, set())}
        return {
            "data": {
                path.relative_to(self.root).as_posix(): _digest(path.read_bytes())
                for module in reached
                for path in module.data_files()
            },
            "libraries": {"python": "{}.{}".format(*sys.version_info), **_versions(imported)},
            "modules": {module.path.relative_to(self.root).as_posix(): module.digests for module in reached},
        }

    def _reach(self, start: str) -> list["_Module"]:
        reached: dict[str, _Module] = {}
        waiting = [start]
        while waiting:
            name = waiting.pop()
            module = self._module(name)
            if name in reached or module is None:
                continue
            reached[name] = module
            waiting += [".".join(name.split(".")[:depth]) for depth in range(1, name.count(".") + 1)]
            waiting += [imported for imported in module.imported if imported.split(".")[0] in PACKAGES]
        return list(reached.values())

    def _module(self, name: str) -> "_Module | None":
        if name not in self._modules:
            stem = self.root.joinpath(*name.split("."))
            found = [path for path in (stem / "__init__.py", stem.with_suffix(".py")) if path.is_file()]
            self._modules[name] = _Module(name, found[0]) if found else None
        return self._modules[name]


@dataclass
class _Module:
    name: str
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        try:
            return ast.parse(self.path.read_bytes(), str(self.path))
        except (SyntaxError, ValueError) as error:
            raise RunError(f"{self.path}: cannot be parsed ({error}); fix it") from error

    @cached_property
    def imported(self) -> set[str]:
        """Absolute names in import statements anywhere in the module; some are attributes, not modules."""
        return {name for node in _statements(self.tree) for name in self._names(node)}

    @property
    def libraries(self) -> set[str]:
        """Top-level names of imports from outside the project and the standard library."""
        tops = {name.split(".")[0] for name in self.imported}
        return tops - set(PACKAGES) - sys.stdlib_module_names - _SHAPES_NO_RESULT

    @cached_property
    def digests(self) -> dict[str, str]:
        """Digest of each top-level definition by its name, and of the rest of the module under REST."""
        parts: dict[str, list[str]] = defaultdict(list)
        for statement in _without_docstrings(self.tree).body:
            match statement:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    parts[statement.name].append(ast.dump(statement))
                case ast.Import() | ast.ImportFrom():
                    pass  # added below, regardless of order
                case ast.Assign(targets=[ast.Name(id="__version__")]):
                    pass  # a new release does not change results
                case _:
                    parts[REST].append(ast.dump(statement))
        parts[REST] += sorted(_imports(self.tree))
        return {name: _digest("\n".join(dumps).encode()) for name, dumps in sorted(parts.items())}

    def data_files(self) -> Iterator[Path]:
        """Yields non-Python files: all in a sub-package, or those beside a module that share its name."""
        if self.path.name == "__init__.py":
            found = self.path.parent.rglob("*") if "." in self.name else iter(())
        else:
            found = self.path.parent.glob(f"{self.path.stem}.*")
        for path in sorted(found):
            if path.is_file() and path.suffix not in {".py", ".pyc"}:
                yield path

    def _names(self, node: ast.AST) -> Iterator[str]:
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
                parents = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                source = ".".join([*parents, *([module] if module else [])])
                yield source
                yield from (f"{source}.{alias.name}" for alias in names)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yields all statements within a node; skips expressions, which are most nodes and contain none."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield child
            yield from _statements(child)


def _imports(tree: ast.Module) -> set[str]:
    lines = set()
    for node in tree.body:
        match node:
            case ast.Import(names=names):
                lines |= {f"import {alias.name} as {alias.asname}" for alias in names}
            case ast.ImportFrom(module=module, names=names, level=level):
                lines |= {f"from {'.' * level}{module} import {alias.name} as {alias.asname}" for alias in names}
    return lines


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in (tree, *_statements(tree)):
        if isinstance(node, ast.Module | _Definition):
            # An empty body is equivalent to a single `pass`.
            node.body = [statement for statement in node.body if not _is_docstring(statement)] or [ast.Pass()]
    return tree


def _is_docstring(statement: ast.stmt) -> bool:
    """Whether a statement is a bare string: a docstring of its module, class or function, or of an attribute."""
    match statement:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
    return False


def _versions(names: set[str]) -> dict[str, str]:
    return {name: _version(name).partition("+")[0] for name in sorted(names)}


@cache
def _version(name: str) -> str:
    try:
        return importlib.metadata.version(DISTRIBUTIONS.get(name, name))
    except importlib.metadata.PackageNotFoundError:
        # Reads the file lists of all installed packages, which takes half a second, so only if the names differ.
        owners = importlib.metadata.packages_distributions().get(name, [])
        return importlib.metadata.version(owners[0]) if owners else "not installed"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGEST_DIGITS]
