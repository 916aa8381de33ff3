"""Words about what takes long, from code that has nobody to tell: a run's view shows them, and without one stderr."""

from __future__ import annotations

import logging

LOG = logging.getLogger("emosweep")
