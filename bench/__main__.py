"""Runs all parts of the benchmark, or only the parts named as arguments (`make bench`)."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import against, chart, decide, process_exit, results, scale
from bench import list as lists
from bench.data import Databases

PARTS = {"list": lists.run, "decide": decide.run, "scale": scale.run}
QUICK_FOLDER = Path(__file__).parent / ".work" / "quick"


def main() -> None:
    """Run the parts, and write RESULTS.md, results.json and results.svg.

    With `--quick`, these files are written to a separate folder. With `--against`, no part runs: the working tree is
    compared with the tree of a commit.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; all where none is named")
    parser.add_argument("--quick", action="store_true", help=f"in a minute; the results go to {QUICK_FOLDER.name}/")
    parser.add_argument("--against", metavar="COMMIT", help="compare this tree with a commit's instead")
    parser.add_argument("--allowed", type=float, default=0.05, metavar="SHARE", help="how much worse it may be (0.05)")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}: the parts are {', '.join(PARTS)}")
    process_exit.exit_on_sigterm()
    if arguments.against:
        print(against.run(arguments.against, arguments.allowed))
        return
    measure(arguments.parts or list(PARTS), quick=arguments.quick)


def measure(names: list[str], *, quick: bool) -> None:
    """Run the named parts. Write the results of each part as soon as the part has finished."""
    folder = QUICK_FOLDER if quick else results.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        with TemporaryDirectory(prefix="bench-") as made:
            part = PARTS[name](Databases(Path(made)), quick=quick)
        figures = results.write([part], folder)
        print(part.text, flush=True)
    chart.draw(figures, folder / "results.svg")
    print(results.summary(figures))


if __name__ == "__main__":
    main()
