"""Renders a trail record as an in-toto statement with SLSA provenance, validated by their protobuf messages."""

from collections.abc import Mapping
from typing import Any

from eibert import __version__
from eibert.trail import Record
from tasks.notes import flat

PREDICATE = "https://slsa.dev/provenance/v1"
_BUILD = "urn:eibert:pipeline:v1"
_BUILDER = "urn:eibert:run:v1"


def statement(record: Record, bom: Mapping[str, str]) -> dict[str, Any]:
    """Returns the statement: the bundle's files as subjects, and how they were built.

    Args:
        record: The record of the bundle in the trail.
        bom: `name` and `sha256` of the bill of materials.

    Raises:
        ValueError: the record does not make a valid statement.
    """
    from google.protobuf.json_format import MessageToDict, ParseDict
    from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
    from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
    from in_toto_attestation.v1.statement import Statement

    files = record.body["bundle"]["files"]
    subjects = [ResourceDescriptor(name=name, digest={"sha256": files[name]["sha256"]}).pb for name in sorted(files)]
    predicate = _predicate(record, bom)
    ParseDict(predicate, Provenance())  # raises if the predicate is not valid SLSA provenance
    made = Statement(subjects, PREDICATE, predicate)
    made.validate()
    found: dict[str, Any] = MessageToDict(made.pb)
    return found | {"predicate": predicate}  # the message turns every number into a float


def _predicate(record: Record, bom: Mapping[str, str]) -> dict[str, Any]:
    body = record.body
    params = {stage: flat(found["params"]) for stage, found in body["stages"].items()}
    return {
        "buildDefinition": {
            "buildType": _BUILD,
            "externalParameters": {"workspace": body["workspace"], "params": params},
            "internalParameters": {"machine": body["machine"], "libraries": body["libraries"]},
            "resolvedDependencies": _dependencies(body),
        },
        "runDetails": {
            "builder": {"id": _BUILDER, "version": {"eibert": __version__}},
            "metadata": {"invocationId": record.digest, "finishedOn": body["when"]},
            "byproducts": [
                _digested(bom["name"], bom["sha256"]),
                _digested(f"trail/records.jsonl#{record.sequence}", record.digest),
                *(
                    _digested(f"data/{stage}/manifest.json", found["manifest_sha256"])
                    for stage, found in body["stages"].items()
                ),
            ],
        },
    }


def _dependencies(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    commit = body["git"]["commit"]
    code = {"name": "code", "annotations": {"dirty": body["git"]["dirty"]}}
    sources = [
        _digested(name, digest)
        for source in body["data"].get("sources") or []
        for name, digest in source["files"].items()
    ]
    teacher = [_digested(f"teacher/{name}", digest) for name, digest in body["teacher"]["files"].items()]
    return [code | ({"digest": {"gitCommit": commit}} if commit else {}), *sources, *teacher]


def _digested(name: str, digest: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": digest}}
