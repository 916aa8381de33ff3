"""What a run needs besides Ray, made ready while Ray and the first trials start: checked weights, the image store."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from orchestrator.planning.planner import Step
from trainable.base.errors import CacheFull, ExperimentError
from trainable.data.tables import ImageTable

Progress = Callable[[int, int], None]


class Over(threading.Event):
    """Set where the run must not go on: by itself, or because the user's `stop` is, which it never sets.

    A user's second signal ends the process at once, so the first one must find `stop` as the user left it.
    """

    def __init__(self, stop: threading.Event) -> None:
        super().__init__()
        self._stop = stop

    def is_set(self) -> bool:
        return super().is_set() or self._stop.is_set()


class Preparation:
    """Runs in a thread of its own while the `with` block does.

    `over` is set where it failed, and where `stop` is.

    Args:
        steps: the MobileNet steps to come.
        images: the images to decode into the image store, one row for each file; None to decode none.
        progress: called with the number of images that are there and of those that are wanted.
        stop: set where the user wants the run to end.
    """

    def __init__(
        self, steps: Sequence[Step], images: ImageTable | None, progress: Progress, stop: threading.Event
    ) -> None:
        self.steps, self.images, self.progress, self.over = steps, images, progress, Over(stop)
        self._error: BaseException | None = None
        self._checked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prepare", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What is wrong with the weights is told before what else went wrong meanwhile."""
        if kind is None:
            self.finish()
        elif kind is not KeyboardInterrupt:
            self.over.set()
            self._checked.wait()
            if self._error is not None:
                raise self._error

    def finish(self) -> None:
        """Wait until everything is ready.

        Raises:
            ConfigError: the weights are not to be had.
        """
        while self._thread.is_alive():
            self._thread.join(0.5)  # a plain join would keep signals waiting
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        # The trials' processes, to which Ray gives a priority of 15, import the same, and are who is waited for.
        if sys.platform == "linux":  # where threads have priorities of their own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        try:
            if self.steps:
                import orchestrator.execution.tuner  # brings Tune, a second's import
            _check_weights(self.steps)
            self._checked.set()
            if self.images is not None and not self.over.is_set():
                self._fill_store(self.images)
            import orchestrator.reporting.report  # noqa: F401 (needed at the end, when nothing else is left to do)
        except BaseException as error:  # raised where it is waited for
            self._error = error
            self.over.set()
        finally:
            self._checked.set()

    def _fill_store(self, images: ImageTable) -> None:
        """Decode on all CPUs. The trials report what is wrong with an image or the cache."""
        from trainable.cache.images import ImageStore

        store = ImageStore()
        with suppress(CacheFull, ExperimentError):
            digests = images.digests() if images.hashed else store.digests(images.images)
            wanted = set(digests)
            there = len(wanted) - len(store.store.missing(wanted))

            def advance(n: int) -> None:
                nonlocal there
                there += n
                self.progress(there, len(wanted))
                if self.over.is_set():
                    raise ExperimentError("stopped")

            advance(0)
            store.fill(images.images, digests, advance=advance)


def _check_weights(steps: Sequence[Step]) -> None:
    """Load each kind of weights once, before anything starts; downloads ImageNet's where they are not cached."""
    configs = {step.config.weights: step.config for step in steps if step.config}
    configs.pop("none", None)
    if configs:
        from trainable.network.model import build_model

        for config in configs.values():
            build_model(config, ["a", "b"])
