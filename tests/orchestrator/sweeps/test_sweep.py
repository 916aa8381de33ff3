"""The trials of a sweep: which, in which folders, and what is done of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from by_hand import FINISHED, write_json
from hypothesis import assume, example, given
from hypothesis import strategies as st
from planned import planner, sweep_of
from ray import tune

from orchestrator.planning.planner import Planner, Step
from orchestrator.planning.selection import select
from orchestrator.sweeps.configurations import check_space, plan_spaces
from orchestrator.sweeps.confirmation import confirmations, left, to_confirm
from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.sampling import is_grid, points
from orchestrator.sweeps.sweep import Sweep, plan_sweep, trial_of
from search_spaces.demo import RECIPE
from search_spaces.quantiles import Space
from search_spaces.runbook import EXPERIMENTS
from search_spaces.spaces import SPACES
from trainable.base.config import TrainConfig
from trainable.base.errors import ConfigError

CROPS = "data_shared/cropped_faces_csv"
SEARCHES = st.sampled_from(["sobol", "random"])
EXPERIMENT = {experiment.name: experiment for experiment in EXPERIMENTS}


def folders(sweep: Sweep) -> list[str]:
    return [step.experiment.trial for step in sweep.steps]


@pytest.fixture(scope="module")
def shared(shared_project: Path) -> Planner:
    """Over a project that nothing has run in."""
    return planner(shared_project)


spaces: st.SearchStrategy[Space] = st.fixed_dictionaries(
    {},
    optional={
        "lr_head": st.sampled_from(
            [tune.loguniform(1e-5, 1e-3), tune.uniform(1e-4, 2e-4), tune.choice([1e-4, 5e-4]), 5e-4]
        ),
        "lr_backbone": st.sampled_from([tune.loguniform(1e-5, 1e-3), tune.grid_search([1e-5, 1e-4])]),
        "batch": st.sampled_from([tune.randint(1, 4), tune.grid_search([8, 1024]), 1024]),
        "label_smoothing": st.sampled_from([tune.uniform(0.0, 0.2), tune.choice([0.0, 0])]),
        "schedule": st.just(tune.choice(["constant", "cosine"])),
        "stage2_epoch": st.sampled_from([tune.randint(1, 5), tune.choice([None, 3]), tune.grid_search([2, 3])]),
        "stage3_epoch": st.sampled_from([tune.randint(5, 11), tune.choice([None, 9])]),
    },
).filter(bool)


# -- a larger sweep


@given(spaces, SEARCHES, st.integers(0, 2**31), st.integers(2, 40), st.integers(2, 40))
@example({"lr_head": tune.loguniform(1e-5, 1e-3), "lr_backbone": tune.loguniform(1e-5, 1e-3)}, "sobol", 1337, 16, 32)
@example({"lr_head": tune.loguniform(1e-5, 1e-3), "lr_backbone": tune.loguniform(1e-5, 1e-3)}, "random", 1337, 16, 32)
def test_a_larger_sweep_holds_a_smaller_one(
    shared: Planner, space: Space, search: str, seed: int, few: int, many: int
) -> None:
    assume(few <= many and not is_grid(space))
    small, large = (
        sweep_of(shared, "finetune_M1", space, seed=seed, num_samples=n, search=search) for n in (few, many)
    )
    shown = [(step.name, step.experiment.trial, step.config) for step in small.steps]
    assert [(step.name, step.experiment.trial, step.config) for step in large.steps][: len(shown)] == shown


@pytest.mark.parametrize("search", ["sobol", "random"])
@pytest.mark.parametrize("name", ["probe_M1", "finetune_M1"])
def test_how_many(search: str, name: str, shared: Planner) -> None:
    for number in (2, 3, 16, 32, 33):
        assert len(sweep_of(shared, name, num_samples=number, search=search).steps) == number
    assert len(sweep_of(shared, name, search=search).steps) == 16


@pytest.mark.parametrize(("name", "trials"), [("probe_M1", 3), ("finetune_M1", 9)])
def test_a_grid_has_its_own_size_with_the_default_among_it(name: str, trials: int, shared: Planner) -> None:
    (base,) = shared.plan(select([name]))
    (default,) = [sweep_of(shared, name, num_samples=2).default.experiment.trial]
    sweep = plan_sweep(base, SPACES["lr-grid"](base.config), SweepOptions("lr-grid"), shared, fixed=False)  # type: ignore[arg-type]
    assert len(sweep.steps) == trials
    assert folders(sweep)[0] == default


def test_ranges_are_crossed_with_grids(shared: Planner) -> None:
    space = {"lr_head": tune.loguniform(1e-5, 1e-3), "batch": tune.grid_search([8, 16, 32]), "weight_decay": 0.5}
    trials = [step.config for step in sweep_of(shared, "probe_M1", space, num_samples=5).steps[1:]]
    assert [config.batch for config in trials if config] == [8, 16, 32] * 4
    assert len({config.lr_head for config in trials if config}) == 4
    assert {config.weight_decay for config in trials if config} == {0.5}


# -- even over the space


@given(st.integers(0, 2**31), st.integers(1, 7))
@example(1337, 4)
def test_sobol_samples_and_the_default_share_the_square(seed: int, power: int) -> None:
    """2**m samples are a net without its first point, whose place the default takes: every box of area 2**-m whose
    sides are powers of two has one of them, and one has none. At 16 samples those are the cells of 4 x 4, 2 x 8 ..."""
    number = 2**power
    cells = tune.randint(0, number)  # of 2**m cells along one side, the one that the point is in
    found = list(points({"a": cells, "b": cells}, number, "sobol", seed))
    assert len(found) == number - 1
    for wide in range(power + 1):
        width, height = 2 ** (power - wide), 2**wide
        assert len({(p["a"] // width, p["b"] // height) for p in found}) == number - 1


@given(st.integers(0, 2**31), SEARCHES)
def test_the_seed_decides_the_draws(seed: int, search: Any) -> None:
    space = {"a": tune.uniform(0, 1)}
    first, again, other = ([p["a"] for p in points(space, 9, search, s)] for s in (seed, seed, seed + 1))
    assert first == again != other


# -- no configuration twice


@given(spaces, SEARCHES, st.integers(0, 2**31))
@example({"stage2_epoch": tune.grid_search([2, 3]), "batch": tune.grid_search([8, 1024])}, "sobol", 1337)
@example({"label_smoothing": tune.choice([0, 0.0])}, "random", 0)
def test_no_configuration_twice(shared: Planner, space: Space, search: str, seed: int) -> None:
    """Nor in other words: stage 2 at epoch 3 is what 30 epochs have anyway."""
    options: dict[str, Any] = {"search": search}
    sweep = sweep_of(shared, "finetune_M1", space, seed=seed, **options)
    assert len(set(folders(sweep))) == len(sweep.steps)
    identities = [step.config.identity() for step in sweep.steps if step.config]
    assert not [a for i, a in enumerate(identities) if a in identities[:i]]
    assert len({step.name for step in sweep.steps}) == len(sweep.steps)


def test_the_stages_written_out_are_the_default(shared: Planner) -> None:
    space = {"stage2_epoch": tune.grid_search([3, 4]), "stage3_epoch": tune.grid_search([9, 10])}
    trials = sweep_of(shared, "finetune_M1", space).steps
    assert [step.config.stage_starts[1:] for step in trials if step.config] == [(3, 9), (3, 10), (4, 9), (4, 10)]


# -- folders

CONFIGS = st.builds(
    lambda **values: TrainConfig("finetune", 30, weights="none", **values),
    lr_head=st.sampled_from([1e-4, 5e-4]),
    lr_backbone=st.sampled_from([1e-5, 1e-4]),
    stage2_epoch=st.sampled_from([None, 2, 3]),
    label_smoothing=st.sampled_from([0.0, 0.1]),
    seed=st.sampled_from([0, 1]),
)


@given(CONFIGS, CONFIGS, st.integers(0, 99), st.integers(0, 99))
def test_a_folder_is_a_configuration_and_a_seed(one: TrainConfig, two: TrainConfig, first: int, second: int) -> None:
    """Whatever its number is, in whatever sweep."""
    base = EXPERIMENT["finetune_M1"]
    a, b = trial_of(base, one, first, test=False), trial_of(base, two, second, test=False)
    assert (a.trial == b.trial) == (one.identity() == two.identity())
    assert (a.trial.split("-s")[0] == b.trial.split("-s")[0]) == (
        replace(one, seed=0).identity() == replace(two, seed=0).identity()
    )
    assert a.trial.endswith(f"-s{one.seed}")
    assert (a.name, a.test, trial_of(base, one, first, test=True).test) == (f"finetune_M1#{first}", False, True)


def test_weights_are_part_of_a_folders_name(tmp_path: Path) -> None:
    names = []
    for content in (b"one", b"two", b"one"):
        file = tmp_path / f"{len(names)}.pt"
        file.write_bytes(content)
        config = TrainConfig("probe", 5, 7e-4, weights=str(file))
        names.append(trial_of(EXPERIMENT["probe_M1"], config, 1, test=False).trial)
    assert names[0] == names[2] != names[1]


def test_the_same_trial_of_two_spaces_has_one_folder(shared: Planner) -> None:
    by_grid = sweep_of(shared, "probe_M1", {"lr_head": tune.grid_search([1e-3, 2e-3]), "batch": 1024})
    by_choice = sweep_of(shared, "probe_M1", {"batch": tune.choice([1024]), "lr_head": tune.choice([2e-3])})
    assert folders(by_choice)[1] == folders(by_grid)[2]
    assert by_choice.steps[1].name != by_grid.steps[2].name


def test_experiments_share_no_folder(shared: Planner) -> None:
    probes = [
        trial_of(EXPERIMENT[name], TrainConfig("probe", 5, 1e-3), 1, test=False) for name in ("probe_M1", "probe_M2")
    ]
    assert len({shared.paths.run(probe).out for probe in probes}) == 2
    runs = [shared.paths.run(step.experiment).out for step in shared.plan(select(["probe_M1,finetune_M1"]))]
    trials = [shared.paths.run(step.experiment).out for step in sweep_of(shared, "probe_M1").trials]
    assert not [one for one in trials for run in runs if one == run or run in one.parents or one in run.parents]


@pytest.mark.parametrize(
    "recipe",
    [{"lr_head": 1e-3}, {"batch": 8}, {"epochs": 9}, {"weight_decay": 0.5}, {"schedule": "cosine"}, {"seed": 1}],
    ids=str,
)
def test_a_changed_default_gives_other_folders(
    recipe: Mapping[str, Any], shared: Planner, shared_project: Path
) -> None:
    before = folders(sweep_of(shared, "finetune_M1"))
    after = folders(sweep_of(planner(shared_project, **recipe), "finetune_M1"))
    assert not set(before) & set(after)


# -- what is done


@pytest.fixture
def root(project: Path) -> Path:
    return project


def finish(ours: Planner, step: Step, f1: float = 0.5) -> None:
    """Leave what a finished trial leaves."""
    for file in ours.paths.results(step.experiment):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}", encoding="utf-8")
    run = ours.paths.run(step.experiment)
    run.history.write_text(f"stage,val_macro_f1\n1,{f1}\n", encoding="utf-8")
    write_json(run.manifest, {"identity": ours.identify(step).identity, "finished": FINISHED, "seconds": 1.0})


def finished(root: Path) -> Planner:
    """A sweep of a probe that is whole, its best two and default confirmed on two seeds."""
    ours = planner(root)
    for number, step in enumerate(probes(ours).steps):
        finish(ours, step, number / 10)
    for steps in confirmations(probes(ours), ours).values():
        for step in steps:
            finish(ours, step)
    return ours


def probes(ours: Planner) -> Sweep:
    return sweep_of(ours, "probe_M1", num_samples=4, confirm=2)


def statuses(steps: Any) -> set[str]:
    return {step.status for step in steps}


def edit(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("happy", "sad", 1), encoding="utf-8")


def test_a_finished_sweep_is_done(root: Path) -> None:
    ours = planner(root)
    assert statuses(probes(ours).steps) == {"new"}
    for number, step in enumerate(probes(ours).steps[:3]):
        finish(ours, step, number / 10)
    assert not to_confirm(probes(ours), ours), "confirmed before the sweep is complete"
    last = probes(ours).steps[3]
    assert len(to_confirm(probes(ours), ours, failed=[last.name])) == 6, "waits for one that has failed"
    ours = finished(root)
    assert statuses(probes(ours).steps) == {"done"}
    found = confirmations(probes(ours), ours)
    assert list(found) == ["probe_M1#0", "probe_M1#3", "probe_M1#2"]
    assert [[step.config.seed for step in steps if step.config] for steps in found.values()] == [[1338, 1339]] * 3
    assert all(statuses(steps) == {"done"} for steps in found.values())
    assert not to_confirm(probes(ours), ours)


def test_what_is_left_of_a_sweep_in_words(root: Path) -> None:
    ours = planner(root)
    assert left([probes(ours)], ours) == ["4 trial(s) of sweeps", "then the best on new seeds"]
    for step in probes(ours).steps:
        finish(ours, step)
    assert left([probes(ours)], ours) == ["6 run(s) on new seeds"]
    fresh = plan_sweep(
        ours.plan(select(["probe_M1"]))[0], SPACES["lr"](ours.inputs.configs["probe_M1"]),
        SweepOptions(num_samples=4, confirm=2), ours, fixed=False, fresh=True,
    )  # fmt: skip
    assert left([fresh], ours) == ["4 trial(s) of sweeps", "then the best on new seeds"]
    for steps in confirmations(probes(ours), ours).values():
        for step in steps:
            finish(ours, step)
    assert left([probes(ours)], ours) == []


def test_other_test_rows_concern_the_confirmations_alone(root: Path) -> None:
    """What chose the configurations never saw the test rows."""
    finished(root)
    edit(root / CROPS / "test_M1.csv")
    ours = planner(root)
    assert statuses(probes(ours).steps) == {"done"}
    again = to_confirm(probes(ours), ours)
    assert len(again) == 6
    assert {(step.status, step.why) for step in again} == {("stale", "test.rows changed")}


@pytest.mark.parametrize("part", ["train", "val"])
def test_other_rows_concern_all(part: str, root: Path) -> None:
    finished(root)
    edit(root / CROPS / f"{part}_M1.csv")
    ours = planner(root)
    assert {(step.status, step.why) for step in probes(ours).steps} == {("stale", f"{part}.rows changed")}
    assert not to_confirm(probes(ours), ours)
    found = confirmations(probes(ours), ours)
    assert not found, "confirmed what has not been seen on these rows"


def test_a_done_experiment_is_its_sweeps_default(root: Path) -> None:
    ours = planner(root)
    (base,) = ours.plan(select(["probe_M1"]))
    sweep = sweep_of(ours, "probe_M1", num_samples=4, fixed=True)
    assert sweep.default == base
    assert len(sweep.trials) == 3
    assert folders(sweep)[1:] == folders(sweep_of(ours, "probe_M1", num_samples=4))[1:]


# -- built-in spaces pass their own checks

DEFAULTS = st.one_of(
    st.builds(lambda epochs, rate: TrainConfig("probe", epochs, rate), st.integers(1, 200), st.floats(1e-8, 1)),
    st.builds(
        lambda epochs, head, backbone: TrainConfig("finetune", epochs, head, backbone),
        st.integers(3, 200), st.floats(1e-8, 1), st.one_of(st.just(0.0), st.floats(1e-8, 1)),
    ),
    st.builds(
        lambda second, more, rest: TrainConfig(
            "finetune", second + more + rest, 1e-3, 1e-3, stage2_epoch=second, stage3_epoch=second + more
        ),
        st.integers(1, 50), st.integers(1, 50), st.integers(1, 50),
    ),
)  # fmt: skip


@given(DEFAULTS, st.sampled_from([*SPACES]))
@example(TrainConfig("finetune", **RECIPE["experiments"]["finetune_*"]), "recipe")
def test_a_built_in_space_fits_every_default(default: TrainConfig, name: str) -> None:
    plan_spaces({default.mode: default}, SweepOptions(name))


@pytest.mark.parametrize("rate", [1e308, 5e-324])
def test_a_rate_without_a_range_around_it_is_a_configuration_error(rate: float) -> None:
    """A decade above or below it is no float any more, which Tune refuses with an error of its own."""
    with pytest.raises(ConfigError, match=r"^--space lr: LogUniform requires"):
        plan_spaces({"probe_M1": TrainConfig("probe", 5, rate)}, SweepOptions("lr"))


def test_stages_are_checked_together() -> None:
    """Each of them would do beside the default's 3 and 9; some pairs would not, and whether one is drawn is luck."""
    default = TrainConfig("finetune", 30, 5e-4, 1e-4)
    check_space(
        "x", default, {"stage2_epoch": tune.randint(12, 15), "stage3_epoch": tune.randint(15, 21)}, SweepOptions()
    )
    check_space("x", default, {"epochs": tune.randint(3, 5), "lr_head": 1}, SweepOptions())
    for space in (
        {"stage2_epoch": tune.randint(1, 9), "stage3_epoch": tune.randint(8, 21)},
        {"stage3_epoch": tune.randint(4, 13), "epochs": tune.choice([10, 30])},
        {"stage2_epoch": tune.randint(1, 10)},
        {"epochs": tune.grid_search([2, 30])},
    ):
        with pytest.raises(ConfigError, match="stage"):
            check_space("x", default, space, SweepOptions())


def test_whole_numbers_will_do_for_a_rate(shared: Planner) -> None:
    """And they are the same configuration."""
    one, two = (sweep_of(shared, "probe_M1", {"lr_head": value}) for value in (1, 1.0))
    assert folders(one) == folders(two)
    assert math.isclose(one.values(one.steps[1])["lr_head"], 1)
