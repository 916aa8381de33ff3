"""The part of reports/index.html about sweeps, read from the files in reports/sweeps/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.figures import Figure
from orchestrator.reporting.formats import METHODS
from orchestrator.reporting.frames import read_rows
from orchestrator.reporting.sweep_figures import (
    confirmation_figure,
    curves_figure,
    parallel_figure,
    score_figure,
    scored,
)
from orchestrator.reporting.sweep_results import spread
from search_spaces.runbook import EXPERIMENTS, Experiment
from trainable.base.errors import ExperimentError
from trainable.base.files import read_json

_NOT_PARAMETERS = ("trial", "stage", "epochs", "best_val_macro_f1", "best_epoch", "seconds", "why_it_stopped", "folder")
MEANINGS = {
    "better": "the whole interval lies above 0, so it is better than the default on other seeds and such test rows",
    "worse": "the whole interval lies below 0, so it is worse than the default, whatever validation said",
    "cannot tell": "the interval contains 0, or there is none: these seeds and test rows cannot tell it from the "
    "default, which is no proof that they are equal",
}


@dataclass(frozen=True)
class Section:
    """One sweep as the page shows it.

    Attributes:
        parameters: the names of what was swept.
        trials: a row of text per trial, in the columns of reports/sweeps/<EXP>.csv.
        compared: the confirmed configurations, the default first: the entries of <EXP>_verdict.json, with (mean,
            standard deviation) in place of the scores, and the number of seeds in place of the seeds; `all_seeds` and
            `test_scores` have them one by one.
        chosen: the number of the chosen trial, as text.
    """

    experiment: Experiment
    parameters: tuple[str, ...]
    trials: pd.DataFrame
    compared: tuple[dict[str, Any], ...]
    chosen: str
    figures: tuple[Figure, ...]

    @property
    def meanings(self) -> list[str]:
        """What each verdict means, in a sentence without a full stop."""
        return [
            f"trial {each['trial']} is called {each['verdict']!r}: {MEANINGS[each['verdict']]}"
            for each in self.compared
            if each.get("verdict") in MEANINGS
        ]


def sweep_sections(paths: ProjectPaths, problems: list[str] | None = None) -> list[Section]:
    """Read the sweeps that have been reported, in the runbook's order; a file of another origin is left out.

    Args:
        problems: takes a sentence for each sweep that is left out.
    """
    return [
        section for e in EXPERIMENTS if e.trains for section in [_section(e, paths, problems)] if section is not None
    ]


def _section(experiment: Experiment, paths: ProjectPaths, problems: list[str] | None) -> Section | None:
    if not paths.sweep(experiment, ".csv").exists():
        return None
    try:
        trials = read_rows(paths.sweep(experiment, ".csv"))
        verdict = read_json(paths.sweep(experiment, "_verdict.json")) or {}
        parameters = tuple(name for name in trials.columns if name not in _NOT_PARAMETERS)
        scored(trials)
        compared = tuple(_compared(values, parameters) for values in verdict.get("compared", ()))
        chosen = str(verdict.get("chosen"))
        figures = _figures(experiment, parameters, trials, compared, chosen, paths)
    except (OSError, ExperimentError, ArithmeticError, ValueError, KeyError, TypeError, AttributeError) as error:
        if problems is not None:
            name = f"{experiment.split} {METHODS[experiment.method]}"
            problems.append(
                f"the sweep of {name} is not shown: its files are not as they were written ({error!r:.200})"
            )
        return None
    return None if trials.empty else Section(experiment, parameters, trials, compared, chosen, figures)


def _figures(
    experiment: Experiment,
    parameters: Sequence[str],
    trials: pd.DataFrame,
    compared: Sequence[Mapping[str, Any]],
    chosen: str,
    paths: ProjectPaths,
) -> tuple[Figure, ...]:
    name = f"{experiment.split} {METHODS[experiment.method]}"
    found = [
        confirmation_figure(name, compared),
        *(score_figure(name, parameter, trials, chosen) for parameter in parameters),
        curves_figure(name, trials, chosen, paths.output),
        parallel_figure(name, parameters, trials),
    ]
    return tuple(figure for figure in found if figure is not None)


def _compared(values: dict[str, Any], parameters: Sequence[str]) -> dict[str, Any]:
    scores = ("val_macro_f1", "test_macro_f1")
    found: dict[str, Any] = {name: spread([float(score) for score in values[name]]) for name in scores}
    if values.get("interval"):
        low, high = map(float, values["interval"])
        found |= {"interval": (low, high), "difference": float(values["difference"])}
    swept = {name: values["values"][name] for name in parameters}
    one_by_one = {
        "all_seeds": list(values["seeds"]),
        "test_scores": [float(score) for score in values["test_macro_f1"]],
    }
    return {**values, **found, **one_by_one, "values": swept, "seeds": len(values["seeds"])}
