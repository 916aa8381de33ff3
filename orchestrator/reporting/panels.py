"""One panel of the page for each experiment that has a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.class_tables import row_shares
from orchestrator.reporting.confidence import Confidence, Mistake, find_mistakes, measure_confidence
from orchestrator.reporting.figures import COLORS, SCORE_AXIS, Figure, dots, ends, named_places
from orchestrator.reporting.frames import rounded
from orchestrator.reporting.material import Notes, Scored
from orchestrator.reporting.subgroups import Subgroup, subgroups
from orchestrator.reporting.training_figures import training_figures
from orchestrator.statistics.evaluation import Evaluation


@dataclass(frozen=True)
class Panel:
    """What the page shows of one experiment.

    Attributes:
        counts: a row of the confusion matrix for each true class.
        shares: each cell's share of its row.
        scores: on the rows that the confusion matrix counts: of FaceAPI the matched ones.
    """

    item: Scored
    counts: Sequence[Sequence[int]]
    shares: Sequence[Sequence[float]]
    scores: Evaluation | None
    classes_figure: Figure | None
    training: Sequence[Figure]
    confidence: Confidence | None
    mistakes: Sequence[Mistake] | None
    subgroups: Sequence[Subgroup]

    @property
    def figures(self) -> list[Figure]:
        """All figures of the panel, in their order."""
        calibration = [self.confidence.figure] if self.confidence else []
        return [*self.training, *([self.classes_figure] if self.classes_figure else []), *calibration]


def make_panels(paths: ProjectPaths, items: Sequence[Scored], notes: Notes) -> list[Panel]:
    """Make the panels; what cannot be made of odd files is left out of its panel, with a note."""
    present = [item for item in items if item.result.present]
    training = notes.of_each(present, "the training", lambda item: training_figures(paths, item))
    confidence = notes.of_each(present, "the calibration", lambda item: measure_confidence(paths, item))
    mistakes = notes.of_each(present, "the mistakes", lambda item: find_mistakes(paths, item))
    groups = notes.of_each(present, "the groups", subgroups)
    found = []
    for item in present:
        name, scores = item.result.experiment.name, item.whole if item.result.experiment.trains else item.matched
        counts = item.result.confusion
        shares = [[rounded(share) for share in row] for row in row_shares(counts).to_numpy().tolist()]
        found.append(
            Panel(
                item,
                counts.to_numpy().tolist(),
                shares,
                scores,
                _classes_figure(item, scores) if scores else None,
                training.get(name, ()),
                confidence.get(name),
                mistakes.get(name),
                groups.get(name, ()),
            )
        )
    return found


def _classes_figure(item: Scored, scores: Evaluation) -> Figure:
    names = [each.name for each in scores.per_class]
    measures = [("precision", COLORS[3], 0.25), ("recall", COLORS[1], 0.0), ("F1", COLORS[0], -0.25)]
    estimates = {name: [getattr(each, name.lower()) for each in scores.per_class] for name, *_ in measures}
    traces = [
        dots(name, [place + shift for place in range(len(names))], estimates[name], color)
        for name, color, shift in measures
    ]
    rows = [
        (each.name, name, value.value, *ends(value), each.support)
        for each in scores.per_class
        for name, *_ in measures
        for value in [getattr(each, name.lower())]
    ]
    layout = {"xaxis": SCORE_AXIS, "yaxis": named_places(names)}
    title = f"{item.name}: each class with 95 % intervals"
    columns = ("class", "score", "value", "low", "high", "support")
    id, height = f"{item.result.experiment.folder}-classes", 120 + 40 * len(names)
    return Figure(id, title, traces, columns, rows, layout, height)
