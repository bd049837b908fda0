"""Python runs this when it starts, where its folder is on the path: what is changed for a test is changed here too."""

import sys
from pathlib import Path

_HERE = str(Path(__file__).parents[1])
sys.path.insert(0, _HERE)
import instead  # noqa: E402

instead.from_environment()
sys.path.remove(_HERE)
