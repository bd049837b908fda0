"""How every level of a stack trained in `hjepa/Occluder-v0` notices a ball that does not come out, or that vanishes.

    python hjepa/published/learning/measure_occlusion.py --checkpoint RUN --json FILE

Episodes of the validation split calibrate, those of the test split are broken.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from hjepa.evaluation.occlusion import KINDS, occlusions, ordinary
from hjepa.evaluation.surprise import ALARM, as_lists, as_row, noticed, score_pairs
from hjepa.model.checkpoints import describe, load_stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--episodes", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    stack = load_stack(options.checkpoint)
    span = stack.config.spans[-1]
    made = {kind: occlusions(kind, "test", options.episodes, span, options.seed) for kind in KINDS}
    found = score_pairs(stack, ordinary("validation", options.episodes, span, options.seed), made)
    facts = {
        "task": "hjepa/Occluder-v0", "checkpoint_sha256": describe(options.checkpoint)["sha256"],
        "seed": options.seed, "episodes": options.episodes, "spans": stack.config.spans, "alarm_at_p": ALARM,
    }  # fmt: skip
    rows = [as_row(noticed(each, options.seed)) for each in found]
    content = {**facts, "rows": rows, "trajectories": [as_lists(each) for each in found]}
    options.json.write_text(re.sub(r",\s+(?=[-\d])", ", ", json.dumps(content, indent=1)) + "\n")


if __name__ == "__main__":
    main()
