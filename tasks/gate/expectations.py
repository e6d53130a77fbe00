"""Custom expectations in addition to the built-in ones of Great Expectations."""

from typing import Any, ClassVar

from great_expectations.expectations.expectation import ColumnAggregateExpectation

Metrics = dict[str, Any]


class ExpectMarkedShareToBeAtMost(ColumnAggregateExpectation):  # type: ignore[misc]  # Great Expectations is untyped here
    """Expects at most a given share of True values in a boolean column.

    `mostly` of the built-in expectations compares the share of good rows instead, so a share of exactly the bound can
    fail through rounding.
    """

    max_share: float
    metric_dependencies: ClassVar[tuple[str, ...]] = ("column.sum", "table.row_count")
    success_keys: ClassVar[tuple[str, ...]] = ("max_share",)

    def _validate(self, metrics: Metrics, *_: Any, **__: Any) -> dict[str, Any]:
        marked, rows = int(metrics["column.sum"]), int(metrics["table.row_count"])
        share = marked / rows if rows else 0.0
        result = {
            "observed_value": share, "element_count": rows, "unexpected_count": marked,
            "partial_unexpected_list": [True] if marked else [],
        }  # fmt: skip
        return {"success": share <= self.max_share, "result": result}


class ExpectClassRowsToBeAtLeast(ColumnAggregateExpectation):  # type: ignore[misc]  # as above
    """Expects at least `min_rows` rows of each given class; a class without rows fails."""

    classes: list[str]
    min_rows: int
    metric_dependencies: ClassVar[tuple[str, ...]] = ("column.value_counts",)
    success_keys: ClassVar[tuple[str, ...]] = ("classes", "min_rows")

    def _validate(self, metrics: Metrics, *_: Any, **__: Any) -> dict[str, Any]:
        counts = _class_counts(metrics, self.classes)
        small = [label for label in counts if counts[label] < self.min_rows]
        result = {
            "observed_value": min(counts.values()), "unexpected_count": sum(counts[label] for label in small),
            "partial_unexpected_list": sorted(small, key=lambda label: (counts[label], label))[:1],
        }  # fmt: skip
        return {"success": not small, "result": result}


class ExpectClassRatioToBeAtMost(ColumnAggregateExpectation):  # type: ignore[misc]  # as above
    """Expects the most common class to have at most `max_ratio` times the rows of the rarest non-empty one."""

    classes: list[str]
    max_ratio: float
    metric_dependencies: ClassVar[tuple[str, ...]] = ("column.value_counts",)
    success_keys: ClassVar[tuple[str, ...]] = ("classes", "max_ratio")

    def _validate(self, metrics: Metrics, *_: Any, **__: Any) -> dict[str, Any]:
        counts = {label: rows for label, rows in _class_counts(metrics, self.classes).items() if rows}
        ratio = max(counts.values()) / min(counts.values()) if counts else 1.0
        rarest = [] if ratio <= self.max_ratio else [min(counts, key=lambda label: (counts[label], label))]
        result = {
            "observed_value": ratio, "unexpected_count": sum(counts[label] for label in rarest),
            "partial_unexpected_list": rarest,
        }  # fmt: skip
        return {"success": not rarest, "result": result}


def _class_counts(metrics: Metrics, classes: list[str]) -> dict[str, int]:
    found = metrics["column.value_counts"]
    return {label: int(found.get(label, 0)) for label in classes}
