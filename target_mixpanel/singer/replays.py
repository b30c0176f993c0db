"""Which command loads a file of dead letters again?"""

import os
import shlex
from collections.abc import Sequence


def replay_command(config: Sequence[str]) -> str:
    """
    Return the command's beginning; the file comes after it.

    Args:
        config: What this run was given with `--config`. Meltano gives a file of its own, which is
            gone after the run, so there it is Meltano that is asked to begin another one.
    """
    if "MELTANO_PROJECT_ROOT" in os.environ:
        loader = os.environ.get("MELTANO_LOADER_NAME", "target-mixpanel")
        return shlex.join(["meltano", "invoke", loader, "--input"])
    options = [word for path in config for word in ("--config", path)]
    return shlex.join(["target-mixpanel", *options, "--input"])
