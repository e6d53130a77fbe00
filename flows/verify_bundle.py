"""Bundle checks: its files are those named in eibert.json, unaltered, and no others."""

from collections.abc import Iterator

from eibert.artifact import read_json
from eibert.errors import BundleError
from eibert.runtime.bundle import CONFIGURATION, read_bundle
from flows.findings import Finding, Shipped


def check_bundle(bundle: Shipped) -> Iterator[Finding]:
    """Yields what a device would refuse, and also what it would ignore: links and unnamed files."""
    folder = bundle.folder
    strangers = [path for path in sorted(folder.rglob("*")) if path.is_symlink()]
    for path in strangers:
        yield Finding(str(path), "a link, expected a regular file", "copy the bundle again")
    try:
        read_bundle(folder)
    except BundleError as error:
        place, _, rest = str(error).partition(": ")
        problem, _, remedy = rest.rpartition("; ")
        yield Finding(place, problem, remedy)
        return
    known = {CONFIGURATION, *read_json(folder / CONFIGURATION)["files"]}
    for path in sorted(folder.rglob("*")):
        if path not in strangers and path.relative_to(folder).as_posix() not in known:
            yield Finding(str(path), f"not listed in {CONFIGURATION}", "remove it, or copy the bundle again")
