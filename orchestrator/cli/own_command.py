"""The command of this process as the user may give it again."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Collection


def own_command(without: Collection[str] = ()) -> str:
    """The command, without some of its flags, and without a password in an address."""
    line = shlex.join(["python", "-m", "orchestrator", *(part for part in sys.argv[1:] if part not in without)])
    return re.sub(r"//[^/@\s]*@", "//", line)
