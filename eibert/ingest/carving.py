"""Carves dev and test out of train if a source lacks them: by text and seed, stratified, equal texts kept together.

The split of a text depends on its digest, so adding rows leaves nearly all earlier ones where they were: a model in
service can be judged on rows it was not trained on.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping

from eibert.corpus import SplitName
from eibert.errors import DataError
from eibert.ingest.rows import Label, Row
from eibert.matching import pair_key

_NUMBER_BINS = 10


def carve(rows: list[Row], shares: Mapping[SplitName, float], seed: int) -> dict[SplitName, list[Row]]:
    """Returns train without the rows carved out, and the carved splits; rows keep their order.

    Each class (for numbers, each decile) gives its share of rows, as nearly as whole groups of equal texts allow, and
    keeps at least one group in train.

    Args:
        rows: The training rows.
        shares: Share of the rows for each split to carve.
        seed: Selects the rows, together with their texts.

    Raises:
        DataError: a split would be empty.
    """
    side: list[SplitName] = ["train"] * len(rows)
    strata = _strata(rows)
    for split, share in shares.items():
        left = {stratum: [group for group in groups if side[group[0]] == "train"] for stratum, groups in strata.items()}
        for stratum, quota in _quotas(strata, left, share).items():
            for group in sorted(left[stratum], key=lambda group: _rank(seed, split, rows[group[0]]))[:-1]:
                if len(group) <= quota:
                    quota -= len(group)
                    for position in group:
                        side[position] = split
        if split not in side:
            raise DataError(
                f"{rows[0].file}: {len(rows)} training rows are too few to carve {share:.0%} out for {split}; "
                f"add rows, or a {split} file"
            )
    return {name: [row for row, at in zip(rows, side, strict=True) if at == name] for name in ("train", *shares)}


_Group = list[int]


def _rank(seed: int, split: SplitName, row: Row) -> bytes:
    """Returns the sort key of a row in its stratum, independent of other rows."""
    key = "\t".join((str(seed), split, *pair_key(row.text, row.text_b)))
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _strata(rows: list[Row]) -> dict[Label, list[_Group]]:
    """Returns, by class or decile of the numbers, the groups of positions whose rows have equal texts."""
    groups: dict[tuple[str, str], _Group] = defaultdict(list)
    for position, row in enumerate(rows):
        groups[pair_key(row.text, row.text_b)].append(position)
    if isinstance(rows[0].label, str):
        stratum = [row.label for row in rows]
    else:
        ranked = sorted(range(len(rows)), key=lambda position: (rows[position].label, position))
        ranks = {position: rank for rank, position in enumerate(ranked)}
        stratum = [float(ranks[position] * _NUMBER_BINS // len(rows)) for position in range(len(rows))]
    strata: dict[Label, list[_Group]] = defaultdict(list)
    for group in groups.values():
        strata[stratum[group[0]]].append(group)
    return dict(sorted(strata.items()))


def _quotas(strata: dict[Label, list[_Group]], left: dict[Label, list[_Group]], share: float) -> dict[Label, int]:
    """Returns how many rows each stratum gives: its share rounded down, plus one for the largest remainders."""
    sizes = {stratum: sum(map(len, groups)) for stratum, groups in strata.items()}
    exact = {stratum: size * share for stratum, size in sizes.items()}
    quotas = {stratum: int(value) for stratum, value in exact.items()}
    spare = round(sum(sizes.values()) * share) - sum(quotas.values())
    able = [stratum for stratum in strata if len(left[stratum]) > 1]
    for stratum in sorted(able, key=lambda stratum: (quotas[stratum] - exact[stratum], stratum))[:spare]:
        quotas[stratum] += 1
    return quotas
