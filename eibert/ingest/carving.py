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
_KEPT_TEXTS = 2
"""Different texts that a class keeps in train if it gives more than its share: of fewer there is nothing to learn."""


def carve(rows: list[Row], shares: Mapping[SplitName, float], seed: int) -> dict[SplitName, list[Row]]:
    """Returns train without the rows carved out, and the carved splits; rows keep their order.

    Each class (for numbers, each decile) gives its share of rows, as nearly as whole groups of equal texts allow, and
    keeps at least one group in train. A class with enough groups to keep `_KEPT_TEXTS` gives each split at least one,
    even if its share is less than a row: otherwise no score would tell how it is classified.

    Args:
        rows: The training rows.
        shares: Share of the rows for each split to carve.
        seed: Selects the rows, together with their texts.

    Raises:
        DataError: a split would be empty.
    """
    side: list[SplitName] = ["train"] * len(rows)
    strata = _strata(rows)
    for later, (split, share) in zip(reversed(range(len(shares))), shares.items(), strict=True):
        left = {stratum: [group for group in groups if side[group[0]] == "train"] for stratum, groups in strata.items()}
        kept = later + _KEPT_TEXTS  # what later splits need stays, too
        sure: set[Label] = {name for name, groups in left.items() if isinstance(name, str) and len(groups) > kept}
        for stratum, quota in _quotas(strata, left, share, sure).items():
            ranked = sorted(left[stratum], key=lambda group: _rank(seed, split, rows[group[0]]))
            chosen = _fitting(ranked[:-1], quota, len(ranked) - (kept if stratum in sure else 1))
            if stratum in sure and not chosen:
                chosen = [min(ranked, key=len)]
            for group in chosen:
                for position in group:
                    side[position] = split
        if split not in side:
            raise DataError(
                f"{rows[0].file}: {len(rows)} training rows are too few to carve {share:.0%} out for {split}; "
                f"add rows, or a {split} file"
            )
    return {name: [row for row, at in zip(rows, side, strict=True) if at == name] for name in ("train", *shares)}


_Group = list[int]


def _fitting(ranked: list[_Group], quota: int, limit: int) -> list[_Group]:
    """Returns the first groups, at most `limit`, that together have no more rows than the quota."""
    fitting: list[_Group] = []
    for group in ranked:
        if len(group) <= quota and len(fitting) < limit:
            quota -= len(group)
            fitting.append(group)
    return fitting


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


def _quotas(
    strata: dict[Label, list[_Group]], left: dict[Label, list[_Group]], share: float, sure: set[Label]
) -> dict[Label, int]:
    """Returns how many rows each stratum gives: its share rounded down, plus one for the largest remainders.

    Classes in `sure` give at least one.
    """
    sizes = {stratum: sum(map(len, groups)) for stratum, groups in strata.items()}
    exact = {stratum: size * share for stratum, size in sizes.items()}
    quotas = {stratum: max(int(value), int(stratum in sure)) for stratum, value in exact.items()}
    spare = max(0, round(sum(sizes.values()) * share) - sum(quotas.values()))
    able = [stratum for stratum in strata if len(left[stratum]) > 1]
    for stratum in sorted(able, key=lambda stratum: (quotas[stratum] - exact[stratum], stratum))[:spare]:
        quotas[stratum] += 1
    return quotas
