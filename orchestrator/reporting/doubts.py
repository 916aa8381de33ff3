"""What to distrust of the results, said by the page itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from orchestrator.reporting.material import Scored
from orchestrator.statistics.answer import FEW_ROWS

_RECIPE = ("epochs", "batch", "lr_head", "lr_backbone")
"""What the runbook says of a training (section 5)."""


def own_doubts(item: Scored) -> list[str]:
    """What to distrust of one result, each in a few words; they stand in its row of the table."""
    said = ["failed"] if _has_failed(item) else []
    if not item.result.present:
        return said
    if item.whole is not None and item.whole.answered == 1 and item.result.rows["true"].nunique() > 1:
        said.append("one answer only")
    if item.result.n is not None and item.result.n < FEW_ROWS:
        said.append(f"fewer than {FEW_ROWS} test rows")
    if item.stale:
        said.append("stale")
    if item.result.experiment.trains and differs_from_runbook(item):
        said.append("not the runbook's recipe")
    return said


def differs_from_runbook(item: Scored) -> list[str]:
    """The settings that differ from the runbook's line, such as "epochs 3 instead of 5"."""
    experiment, config = item.result.experiment, item.config
    return [
        f"{name} {config[name]:g} instead of {wanted:g}"
        for name in _RECIPE
        for wanted in [getattr(experiment, name)]
        if wanted is not None and isinstance(config.get(name), int | float) and config[name] != wanted
    ]


def all_doubts(items: Sequence[Scored]) -> list[str]:
    """Sentences for the top of the page, the gravest first."""
    present = [item for item in items if item.result.present]
    of_results = (_useless, _stale, _few, _mixed, _single_seed)
    return [*_failed(items), *(said for doubt in of_results for said in doubt(present))]


def _has_failed(item: Scored) -> bool:
    return any(note.startswith("failed: ") for note in item.result.notes)


def _failed(items: Sequence[Scored]) -> list[str]:
    found = [item.name for item in items if _has_failed(item)]
    return [f"{', '.join(found)}: failed in the last run; the notes in the table say why."] if found else []


def _useless(items: Sequence[Scored]) -> list[str]:
    found = [item for item in items if "one answer only" in own_doubts(item)]
    if not found:
        return []
    said = "the model gives the same answer to every image. It has learned nothing, whatever its Top-1 says."
    return [f"{_listed(found, items)}: {said}"]


def _stale(items: Sequence[Scored]) -> list[str]:
    """One sentence for all results whose CSVs have changed in the same way."""
    alike: dict[tuple[str, ...], list[Scored]] = {}
    for item in items:
        alike.setdefault(item.changed, []).append(item)
    return [
        f"{_listed(found, items)}: stale, not made from today's CSVs ({', '.join(changed)}). Run run-all again."
        for changed, found in alike.items()
        if changed
    ]


def _few(items: Sequence[Scored]) -> list[str]:
    few = [item for item in items if item.result.n is not None and item.result.n < FEW_ROWS]
    if not few:
        return []
    least = min(item.result.n or 0 for item in few)
    return [f"{_listed(few, items)}: fewer than {FEW_ROWS} test rows ({least} at the least). Only "
            "large differences can be seen with so few."]  # fmt: skip


def _mixed(items: Sequence[Scored]) -> list[str]:
    """Results side by side that were not made alike."""
    trained = [item for item in items if item.result.experiment.trains]
    said = []
    weights = Counter(weights_name(item) for item in trained if item.weights)
    if len(weights) > 1:
        counts = ", ".join(f"{name} in {count}" for name, count in weights.most_common())
        said.append(f"The trainings began with different weights ({counts}): their scores differ for that reason too.")
    seeds = {item.config.get("seed") for item in trained if "seed" in item.config}
    if len(seeds) > 1:
        said.append(f"The trainings have different seeds ({', '.join(map(str, sorted(seeds, key=str)))}).")
    off = [item for item in trained if differs_from_runbook(item)]
    if off:
        said.append(f"{_listed(off, trained)}: not the runbook's recipe (the commands under Provenance say which).")
    versions = {str(item.manifest.get("git_commit"))[:12] for item in items if item.manifest.get("git_commit")}
    if len(versions) > 1:
        said.append(f"The results were made by {len(versions)} different versions of this program.")
    without = [item for item in items if not item.manifest]
    if without:
        said.append(f"{_listed(without, items)}: without a manifest, so that nobody knows what made it.")
    return said


def _single_seed(items: Sequence[Scored]) -> list[str]:
    if not any(item.result.experiment.trains for item in items):
        return []
    return ["Each training here is one draw with one seed. The intervals say how sure a score is for other test rows, "
            "not for other seeds; a sweep's confirmation shows how far seeds lie apart."]  # fmt: skip


def weights_name(item: Scored) -> str:
    """The weights in a word or two: a name, or the beginning of the file's digest."""
    kind, _, digest = item.weights.partition(":")
    return f"file {digest[:8]}" if kind == "sha256" else kind[:60]


def _listed(some: Sequence[Scored], of: Sequence[Scored]) -> str:
    """The names of some results; "All results" or "All trainings" where they are all that there are."""
    if len(some) == len(of) > 1:
        return "All trainings" if all(item.result.experiment.trains for item in of) else "All results"
    return ", ".join(item.name for item in some)
