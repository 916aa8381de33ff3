"""What a run needs besides Ray, loaded while Ray and the first trials start: weights, images, modules."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from orchestrator.planning.steps import TrainingStep
from trainable.base.errors import CacheFull, ExperimentError
from trainable.data.tables import ImageTable

Progress = Callable[[int, int], None]
PATIENCE_SECONDS = 10.0
"""After how long it is said what is waited for."""

_OF_SCIKIT_LEARN = {"KMP_DUPLICATE_LIB_OK": "True", "KMP_INIT_AT_FORK": "FALSE"}
"""Environment variables that scikit-learn sets when it is imported, where they are not set."""


class Preload:
    """Works in a thread of its own while the `with` block runs.

    This thread never sets an environment variable: the C library may move the environment then, and a library that
    reads it in another thread, as Ray does when it starts, crashes.

    Args:
        steps: the trainings to come, whose weights are checked.
        images: the images to decode, one row for each file; None to decode none.
        progress: called with the number of images that are decoded and of those that are wanted.
        stop: set where the user wants the run to end.
        first: modules that are imported at the beginning, where there are trainings.
        last: modules that are imported at the end, when nothing else is left to do.
        say: called with a sentence for the user.
    """

    def __init__(
        self,
        steps: Sequence[TrainingStep],
        images: ImageTable | None,
        progress: Progress,
        stop: threading.Event,
        first: Sequence[str] = (),
        last: Sequence[str] = (),
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.steps, self.images, self.progress, self.first, self.last = steps, images, progress, first, last
        self.say, self._doing = say, "libraries"
        self._stop, self._failed = stop, threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="preload", daemon=True)

    def over(self) -> bool:
        """Whether the run must not go on: the user wants it to end, or the preload has failed.

        A failure does not set the user's `stop`. The user's second signal ends the process at once, so the first one
        must find `stop` as the user left it.
        """
        return self._failed.is_set() or self._stop.is_set()

    def __enter__(self) -> Self:
        import numpy  # noqa: F401  # sets a variable when it is imported

        for name, value in _OF_SCIKIT_LEARN.items():
            os.environ.setdefault(name, value)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What is wrong with the weights is reported before anything else that went wrong meanwhile.

        The thread ends first in any case: a process that ends while a thread imports a library may crash.
        """
        if kind is None:
            self.finish()
            return
        self._failed.set()
        self._wait()
        if kind is not KeyboardInterrupt and self._error is not None:
            raise self._error

    def finish(self) -> None:
        """Wait until everything is ready.

        Raises:
            ConfigError: the weights are unavailable.
        """
        self._wait()
        if self._error is not None:
            raise self._error

    def _wait(self) -> None:
        began, said = time.monotonic(), ""
        while self._thread.is_alive():
            self._thread.join(0.5)  # a plain join would keep signals waiting
            if time.monotonic() - began > PATIENCE_SECONDS and said != self._doing:
                said = self._doing
                self.say(f"waiting for {said} to be loaded")

    def _run(self) -> None:
        # The trials' processes import the same modules and are waited for; Ray gives them a priority of 15.
        if sys.platform == "linux":  # where threads have priorities of their own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        try:
            self._import(self.first if self.steps else ())
            self._doing = "the weights"
            _check_weights(self.steps, self.say)
            self._doing = "images"
            if self.images is not None and not self.over():
                self._decode_images(self.images)
            self._doing = "libraries"
            self._import(self.last)
        except BaseException as error:  # raised where it is waited for
            self._error = error
            self._failed.set()

    def _import(self, modules: Sequence[str]) -> None:
        for module in modules:
            if not self.over():
                importlib.import_module(module)

    def _decode_images(self, images: ImageTable) -> None:
        """Decode on all CPUs. The trials report what is wrong with an image or with the cache."""
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
                if self.over():
                    raise ExperimentError("stopped")

            advance(0)
            store.fill(images.images, digests, advance=advance)


def _check_weights(steps: Sequence[TrainingStep], say: Callable[[str], None]) -> None:
    """Load each kind of weights once, before anything starts; downloads ImageNet's where they are not cached. What was
    odd about a file is said: where in it the weights were, which prefix they had."""
    configs = {step.config.weights: step.config for step in steps}
    configs.pop("none", None)
    if configs:
        from trainable.network.model import build_model, load_weights

        for config in configs.values():
            build_model(config, ["a", "b"])
            for remark in load_weights(config.weights).remarks:
                say(remark)
