"""Which code and which libraries shape a stage's result, as digests.

Reads source text and package metadata only: nothing is imported, nothing runs. Comments, docstrings, formatting and
the order of imports do not count; every other change of a reached module does.
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
"""Project packages whose modules are followed; an import of anything else is a library's."""

REST = ""
"""Name under which a module's statements outside its definitions are digested."""

_DIGEST_DIGITS = 16
DISTRIBUTIONS = {"sklearn": "scikit-learn", "yaml": "PyYAML"}
"""Import name → name of the distribution, where the two differ."""
_SHAPES_NO_RESULT = {"filelock", "huggingface_hub", "psutil", "pydantic", "rich"}
_BENEATH = {
    "great_expectations": {"pandas"}, "onnx": {"protobuf"}, "sklearn": {"scipy"}, "transformers": {"tokenizers"},
}  # fmt: skip
"""Libraries that shape a result through another one, without an import of their own in the project."""
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def project_root() -> Path:
    """Returns the folder that holds the packages eibert and tasks, wherever the workspace is."""
    return Path(__file__).resolve().parents[1]


@dataclass
class CodeReader:
    """Reads each module of a project once, for the digests of any number of stages.

    Attributes:
        root: Folder that holds the packages.
    """

    root: Path
    _modules: dict[str, "_Module | None"] = field(default_factory=dict)

    def digests(self, stage: str) -> dict[str, Any]:
        """Returns what the result of one stage depends on besides data and parameters.

        Returns:
            `modules`: path → definition → digest; `data`: path of a file beside the code → digest; `libraries`:
            import name → version without its local part. Paths are relative to the root.

        Raises:
            RunError: the stage has no adapter, or a module cannot be parsed.
        """
        if self._module(f"tasks.{stage}") is None:
            raise RunError(f"{self.root / 'tasks' / stage}.py: missing; a stage of dvc.yaml needs its adapter there")
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
            raise RunError(f"{self.path}: cannot be parsed ({error}); mend it") from error

    @cached_property
    def imported(self) -> set[str]:
        """Absolute names that import statements mention anywhere; some name an attribute, not a module."""
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
                    pass  # told apart below, where their order does not count
                case ast.Assign(targets=[ast.Name(id="__version__")]):
                    pass  # a release is no change of what is computed
                case _:
                    parts[REST].append(ast.dump(statement))
        parts[REST] += sorted(_imports(self.tree))
        return {name: _digest("\n".join(dumps).encode()) for name, dumps in sorted(parts.items())}

    def data_files(self) -> Iterator[Path]:
        """Yields the files that are no Python in a sub-package, or beside a module and named after it."""
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
    """Yields all statements within a node; expressions, by far the most nodes, hold none."""
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
            # An empty body and one `pass` mean the same.
            node.body = [statement for statement in node.body if not _is_docstring(statement)] or [ast.Pass()]
    return tree


def _is_docstring(statement: ast.stmt) -> bool:
    """Whether a statement is a lone string: the docstring of what contains it, or of the attribute before it."""
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
        # Reads the file lists of all installed packages: half a second, so only where the names differ.
        owners = importlib.metadata.packages_distributions().get(name, [])
        return importlib.metadata.version(owners[0]) if owners else "not installed"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGEST_DIGITS]
