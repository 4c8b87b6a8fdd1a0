"""`python -m conformance`: the demonstration of the main job."""

import argparse
import asyncio
import sys
from pathlib import Path

from conformance.demo.show import show


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="radgate", description="Proofs by the wire.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    demo = verbs.add_parser("demo", help="the main job with three houses on this machine")
    demo.add_argument("--once", action="store_true", help="stop after the last step instead of serving")
    demo.add_argument("--json", type=Path, dest="json_file", metavar="FILE", help="write the result of every step")
    demo.add_argument("--sabotage", default="", metavar="STEP", help="break this step on purpose: the run must fail")
    demo.add_argument("--study", type=Path, metavar="DIR", help="your own DICOM folder instead of the synthetic study")
    demo.add_argument("--folder", type=Path, metavar="DIR", help="keep the houses' folders here")
    asked = parser.parse_args()
    try:
        ok = asyncio.run(
            show(
                once=asked.once, json_file=asked.json_file, sabotage=asked.sabotage, study=asked.study,
                folder=asked.folder,
            )
        )  # fmt: skip
    except KeyboardInterrupt:
        return 0
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
