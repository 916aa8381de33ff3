"""The points of the built-in spaces, as literals: a finished sweep stays finished only while they stay the same."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.planning.planner import trial_folder_name
from orchestrator.sweeps.configurations import configurations
from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.sampling import points
from search_spaces.runbook import EXPERIMENTS
from search_spaces.spaces import SPACES
from trainable.base.config import TrainConfig
from trainable.run.identity import weights_identity

DEFAULTS = {
    "probe_M1": TrainConfig("probe", 5, 7e-4, weights="none"),
    "finetune_M1": TrainConfig("finetune", 30, 5e-4, 1e-4, weights="none"),
}
EXPERIMENT = {experiment.name: experiment for experiment in EXPERIMENTS}

# Experiment, space, search: the points, their values in the order of the space's parameters.
POINTS: dict[tuple[str, str, str], list[tuple[Any, ...]]] = {
    ("probe_M1", "lr", "sobol"): [
        (0.0001481,), (0.0006118,), (0.001079,), (0.001822,), (0.0003268,), (7.592e-05,), (0.004234,), (0.00563,),
        (9.926e-05,), (0.0002307,), (0.001308,), (0.0009317,), (0.0005194,), (0.0002147,), (0.003849,),
    ],
    ("finetune_M1", "lr", "sobol"): [
        (5.797e-05, 7.364e-05), (0.0003396, 0.0006241), (0.001091, 1.539e-05), (0.0006808, 0.0005391),
        (0.0002117, 2.355e-05), (0.000124, 0.0001934), (0.003984, 4.75e-05), (0.003533, 0.000935),
        (0.0001137, 1.297e-05), (0.0002105, 0.00011), (0.0006545, 8.575e-05), (0.00129, 0.0003004),
        (0.0004153, 4.149e-05), (7.686e-05, 0.0003406), (0.00239, 2.645e-05),
    ],
    ("finetune_M1", "lr", "random"): [(0.000804, 0.0005588), (7.28e-05, 1.112e-05), (0.0005943, 6.727e-05)],
    ("probe_M1", "recipe", "sobol"): [
        (0.0002289, 0.0001435, 0.08774, "effective-number", "cosine"),
        (9.959e-05, 0.03126, 0.1473, "none", "cosine"),
        (0.001146, 0.0006518, 0.03507, "inverse", "constant"),
    ],
    ("finetune_M1", "recipe", "sobol"): [
        (6.508e-05, 1.34e-05, 0.001494, 0.1214, "inverse", "cosine", 3, 9),
        (0.0002648, 0.0005424, 0.003691, 0.02468, "effective-number", "cosine", 5, 8),
        (0.0008151, 4.328e-05, 0.0001038, 0.1779, "none", "constant", 1, 13),
        (0.001047, 0.0006206, 0.0008487, 0.1609, "none", "constant", 4, 7),
        (0.0003656, 6.726e-05, 0.02435, 0.0389, "effective-number", "cosine", 2, 15),
        (0.0001487, 0.0001921, 0.000312, 0.1415, "inverse", "cosine", 6, 11),
        (0.004579, 2.082e-05, 0.01118, 0.05707, "none", "constant", 2, 10),
        (0.003708, 0.0004185, 0.0003681, 0.03641, "effective-number", "constant", 4, 7),
    ],
    ("finetune_M1", "recipe", "random"): [
        (0.000804, 0.0005588, 0.06129, 0.1055, "effective-number", "constant", 1, 8),
        (7.28e-05, 1.112e-05, 0.06153, 0.0876, "effective-number", "constant", 4, 9),
    ],
    ("probe_M1", "lr-grid", "sobol"): [(0.0002333,), (0.0007,), (0.0021,)],
    ("finetune_M1", "lr-grid", "sobol"): [
        (0.0001667, 3.333e-05), (0.0001667, 0.0001), (0.0001667, 0.0003),
        (0.0005, 3.333e-05), (0.0005, 0.0001), (0.0005, 0.0003),
        (0.0015, 3.333e-05), (0.0015, 0.0001), (0.0015, 0.0003),
    ],
}  # fmt: skip

# Experiment, space: the folders of the first trials after the default's.
FOLDERS = {
    ("probe_M1", "lr"): ["1d07573aba-s1337", "bd529f7e7d-s1337", "30f643c324-s1337", "43457ae069-s1337"],
    ("finetune_M1", "lr"): ["7f386f3942-s1337", "fba37f29cc-s1337", "cca1181d7c-s1337", "dff739b8d9-s1337"],
    ("finetune_M1", "recipe"): ["6886917ba6-s1337", "576fa05088-s1337", "d9d7240242-s1337", "77490cbdfe-s1337"],
    ("probe_M1", "lr-grid"): ["9f6b77aada-s1337", "8fb9477ced-s1337"],
    ("finetune_M1", "lr-grid"): ["b4c92ed8ae-s1337", "b069ef406d-s1337", "c530bdefe3-s1337", "ed6cc730f9-s1337"],
}


@pytest.mark.parametrize(("experiment", "space", "search"), POINTS)
def test_the_built_in_spaces_keep_their_points(experiment: str, space: str, search: Any) -> None:
    default, wanted = DEFAULTS[experiment], POINTS[experiment, space, search]
    found = list(points(SPACES[space](default), len(wanted) + 1, search, default.seed))
    assert [tuple(point.values()) for point in found] == wanted
    assert [[type(value) for value in point.values()] for point in found] == [[*map(type, row)] for row in wanted]


@pytest.mark.parametrize(("experiment", "space"), FOLDERS)
def test_the_built_in_spaces_keep_the_folders_of_their_trials(experiment: str, space: str) -> None:
    default, wanted = DEFAULTS[experiment], FOLDERS[experiment, space]
    configs = configurations(experiment, default, SPACES[space](default), SweepOptions(space))
    found = [trial_folder_name(config, weights_identity(config.weights)) for config in configs]
    assert found[: len(wanted)] == wanted
