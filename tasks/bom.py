"""Renders a trail record as a CycloneDX bill of materials: the model with its card, teacher, data and libraries.

The library has no class for a model card, so the card is added to its JSON and the whole is validated by the schema.
"""

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from eibert.trail import Record
from tasks.licences import of_source
from tasks.notes import numbers

_SCHEMA = SchemaVersion.V1_6
_CHARS = 300


def bill(record: Record) -> str:
    """Returns the bill of materials of a recorded bundle as JSON; equal records give equal bills.

    Raises:
        ValueError: the result violates CycloneDX's schema.
    """
    from cyclonedx.validation.json import JsonStrictValidator  # takes two seconds

    body = record.body
    name = f"eibert/{body['workspace']}"
    model = Component(
        name=name, type=ComponentType.MACHINE_LEARNING_MODEL, bom_ref="bundle", version=body["bundle"]["sha256"][:12],
        description="An NLU bundle compressed by eibert", hashes=[_hash(body["bundle"]["sha256"])],
        components=[_file(file, entry["sha256"], "bundle") for file, entry in body["bundle"]["files"].items()],
        properties=_properties(record),
    )  # fmt: skip
    parts = [_teacher(body["teacher"]), *_data(body["data"]), *_libraries(body["libraries"])]
    serial = uuid.uuid5(uuid.NAMESPACE_OID, record.digest)
    bom = Bom(components=parts, serial_number=serial)
    bom.metadata.component = model
    bom.metadata.timestamp = datetime.fromisoformat(body["when"])
    bom.register_dependency(model, parts)
    found = json.loads(make_outputter(bom, OutputFormat.JSON, _SCHEMA).output_as_string())
    found["metadata"]["component"]["modelCard"] = _card(body)
    text = json.dumps(found, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    if problem := JsonStrictValidator(_SCHEMA).validate_str(text):
        raise ValueError(f"the bill of materials violates the CycloneDX schema: {str(problem)[:_CHARS]}")
    return text


def _properties(record: Record) -> list[Property]:
    body = record.body
    values = {
        "eibert:trail:sequence": record.sequence,
        "eibert:trail:digest": record.digest,
        "eibert:git:commit": body["git"]["commit"] or "none",
        "eibert:git:dirty": str(body["git"]["dirty"]).lower(),
        "eibert:bytes": body["bundle"]["bytes"],
    }
    return [Property(name=name, value=str(value)) for name, value in values.items()]


def _teacher(teacher: Mapping[str, Any]) -> Component:
    stated = teacher.get("licence")
    licence = _licence(stated) if stated else DisjunctiveLicense(name="not stated")
    return Component(
        name=teacher["model"], type=ComponentType.MACHINE_LEARNING_MODEL, bom_ref="teacher",
        version=teacher.get("revision"), licenses=[licence],
        hashes=[_hash(teacher["files"]["model.safetensors"])] if "model.safetensors" in teacher["files"] else [],
        components=[_file(name, digest, "teacher") for name, digest in teacher["files"].items()],
    )  # fmt: skip


def _licence(stated: str) -> DisjunctiveLicense | LicenseExpression:
    from cyclonedx.spdx import fixup_id

    known = fixup_id(stated)
    return DisjunctiveLicense(id=known) if known else DisjunctiveLicense(name=stated)


def _data(data: Mapping[str, Any]) -> list[Component]:
    """The sources as read, and the splits made from them."""
    found = []
    for number, source in enumerate(data.get("sources") or []):
        ref = f"data/source/{number}"
        found.append(
            Component(
                name=source["source"],
                type=ComponentType.DATA,
                bom_ref=ref,
                description=f"{source['use']} data",
                version=str(source["version"]) if "version" in source else None,
                licenses=[_licence(stated)] if (stated := of_source(source)) else [],
                components=[_file(name, digest, ref) for name, digest in source["files"].items()],
            )
        )
    rows = data.get("rows") or {}
    for name, digest in (data.get("splits") or {}).items():
        kept = rows.get(name.removesuffix(".parquet"), {}).get("kept")
        about = [Property(name="eibert:rows", value=str(kept))] if kept is not None else []
        component = Component(
            name=name, type=ComponentType.DATA, bom_ref=f"data/ingest/{name}", hashes=[_hash(digest)], properties=about
        )
        found.append(component)
    return found


def _libraries(libraries: Mapping[str, str]) -> list[Component]:
    return [
        Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            bom_ref=f"library/{name}",
            purl=PackageURL("pypi", name=name.lower().replace("_", "-"), version=version),
        )
        for name, version in libraries.items()
    ]


def _card(body: Mapping[str, Any]) -> dict[str, Any]:
    data = body["data"]
    figures = numbers(body["metrics"])
    splits = [{"ref": f"data/ingest/{name}"} for name in data.get("splits") or {}]
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": "text-regression" if not data.get("labels") else "text-classification",
            "architectureFamily": "BERT",
            "modelArchitecture": "EI-BERT student, integer weights, ONNX",
            "datasets": splits,
            "inputs": [{"format": "pair of strings" if data.get("pair") else "string"}],
            "outputs": [{"format": "number" if not data.get("labels") else "class"}],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [{"type": name, "value": repr(value)} for name, value in sorted(figures.items())]
        },
        "properties": [
            {"name": f"eibert:gate:{name}", "value": "passed" if gate["passed"] else "not passed"}
            for name, gate in body["gates"].items()
        ],
    }


def _file(name: str, digest: str, owner: str) -> Component:
    return Component(name=name, type=ComponentType.FILE, bom_ref=f"{owner}#{name}", hashes=[_hash(digest)])


def _hash(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)
