"""Benches, on demand: `python -m tests.bench store`, `… review`, `… gate`, `… evals`, `… quality` and more.

store: imports, exports, and the steps of a reviewer over the database.

--rows N          how many rows are imported and exported (500,000)
--sizes A,B,C     how many items are held while a reviewer works (10000,100000,1000000)
--times N         how often each step of the reviewer is measured (1,000)
--only WHAT       files or queue

review: from a key to the next text painted, in Chromium over the real app.

--rows N          how many real outputs are held (20,000)
--times N         how often the key is pressed (200); the last half counts
--beside WHAT     label-studio: the same texts in it, afterwards, in the same browser
--peer FOLDER     where Label Studio is installed, or is to be and to stay; otherwise in a folder that goes again

gate: submits over HTTP under load, with wrk; from a verdict to its webhook; and Review while 90 outputs a second
come in.

--times N         seconds of each run (5)
--only WHAT       submits, webhooks or screen

quality: what the server does for the Quality page, over the counts of so many labels.

--sizes A,B,C     how many labels (50000,500000,5000000)
--times N         how often the page is asked for afterwards (20)

evals: calls a second and memory of an eval run with real LiteLLM and a provider that takes 50 ms, and Review meanwhile.

--sizes N         how many cases, each asked of 4 candidates (5000)
--rows N          how many outputs are held (20,000)
--times N         how often the key is pressed (200), in three rounds; the last half counts
--only WHAT       calls or screen

quality-coverage: whether intervals of risk-routed labels hold the truth, and how soon a change is seen; simulated.

--times N         repetitions a cell (2,000)
--seed N          of the random numbers (20261125)

All:

--engine WHICH    sqlite, postgresql or both (store and quality: both, the others: sqlite)
--quick           tiny numbers: does it run at all?
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.bench.databases import databases
from tests.bench.figures import machine, pace
from tests.bench.files import imports_and_exports
from tests.bench.queue import reviewing


def store(options: argparse.Namespace) -> None:
    print(machine())
    for engine in options.engines:
        with tempfile.TemporaryDirectory(prefix="nr-bench-") as name, databases(engine, Path(name)) as fresh:
            os.environ["NEURO_REVIEW_FOLDER"] = str(Path(name) / "house")
            print(f"\n{engine}, before: {pace()}", flush=True)
            if options.only != "queue":
                for table in imports_and_exports(fresh, options.rows, Path(name)):
                    print(table, flush=True)
            if options.only != "files":
                print(reviewing(fresh, options.sizes, options.times), flush=True)
            print(f"\n{engine}, after: {pace()}", flush=True)


def review(options: argparse.Namespace) -> None:
    from tests.bench import label_studio, outputs, screen
    from tests.bench import review as bench
    from tests.browser.house import chromium

    if not outputs.are_here():
        sys.exit(outputs.MISSING)
    last, sittings = max(1, options.times // 2), []
    with screen.said(), tempfile.TemporaryDirectory(prefix="nr-bench-") as name, chromium() as browser:
        print(f"{machine()}\n{bench.versions(browser)}\nbefore: {pace()}", flush=True)
        for engine in options.engines:
            folder = Path(name) / engine
            folder.mkdir()
            with databases(engine, folder) as fresh:
                sat = bench.sit(f"Neuro Review, {engine}", browser, fresh(), folder, options.rows, options.times)
            print(*(f"{sat.name}: {line}" for line in sat.said), sep="\n", flush=True)
            sittings.append(sat)
        painted = bench.painted(last, sittings)
        if options.beside:
            peer = options.peer or Path(name) / "peer"
            label_studio.beside(painted, browser, peer, Path(name), min(options.rows, label_studio.MANY), last)
        print(painted, bench.worked(last, sittings), f"\nafter: {pace()}", sep="\n", flush=True)


def gate(options: argparse.Namespace) -> None:
    from tests.bench import gate as bench
    from tests.bench import outputs, screen, told
    from tests.browser.house import SECRET, chromium

    if not outputs.are_here() or not bench.is_here():
        sys.exit(bench.MISSING if outputs.are_here() else outputs.MISSING)
    # What this process does beside the app needs the app's own settings.
    os.environ |= {"NEURO_REVIEW_SECRET": SECRET, "NEURO_REVIEW_OUTBOUND_NETWORKS": told.HERE}
    print(machine())
    for engine in options.engines:
        with tempfile.TemporaryDirectory(prefix="nr-bench-") as name, databases(engine, Path(name)) as fresh:
            print(f"\n{engine}, before: {pace()}", flush=True)
            folder, only = Path(name), options.only
            if only in (None, "submits"):
                for table in bench.throughput(engine, fresh(), folder / engine, options.times):
                    print(table, flush=True)
            if only in (None, "webhooks"):
                print(told.webhooks(engine, fresh(), folder / "webhooks", options.sizes[0]), flush=True)
            if only in (None, "screen"):
                with screen.said(), chromium() as browser:
                    for table in told.screen(engine, browser, fresh, folder / "screen", options.rows, options.sizes[0]):
                        print(table, flush=True)
            print(f"\n{engine}, after: {pace()}", flush=True)


def evals(options: argparse.Namespace) -> None:
    from tests.bench import evals as bench
    from tests.bench import outputs, screen
    from tests.browser.house import SECRET, chromium

    os.environ["NEURO_REVIEW_SECRET"] = SECRET  # what this process does beside the app needs the app's own settings
    print(machine())
    for engine in options.engines:
        with tempfile.TemporaryDirectory(prefix="nr-bench-") as name, databases(engine, Path(name)) as fresh:
            print(f"\n{engine}, before: {pace()}", flush=True)
            folder, cases = Path(name), options.sizes[0]
            if options.only in (None, "calls"):
                print(bench.calls(engine, fresh(), cases), flush=True)
            if options.only in (None, "screen"):
                if not outputs.are_here():
                    sys.exit(outputs.MISSING)
                with screen.said(), chromium() as browser:
                    for table in bench.screen(
                        engine, browser, fresh, folder, options.rows, options.times, max(cases, bench.OUTLASTING)
                    ):
                        print(table, flush=True)
            print(f"\n{engine}, after: {pace()}", flush=True)


def quality(options: argparse.Namespace) -> None:
    from tests.bench import quality as bench
    from tests.bench import screen
    from tests.browser.house import SECRET, chromium

    os.environ["NEURO_REVIEW_SECRET"] = SECRET  # what this process does beside the app needs the app's own settings
    print(machine())
    with screen.said(), chromium() as browser:
        for engine in options.engines:
            with tempfile.TemporaryDirectory(prefix="nr-bench-") as name, databases(engine, Path(name)) as fresh:
                print(f"\n{engine}, before: {pace()}", flush=True)
                print(bench.pages(fresh, options.sizes, options.times, browser, Path(name)), flush=True)
                print(f"\n{engine}, after: {pace()}", flush=True)


def quality_coverage(options: argparse.Namespace) -> None:
    from tests.bench import coverage as bench

    print(machine())
    found = bench.coverage(options.times, options.seed, cells=3 if options.quick else None)
    print(bench.coverage_table(found, options.times, options.seed), flush=True)
    for target, calm, worse in ((0.05, 0.03, 0.15), (0.02, 0.01, 0.06), (0.10, 0.06, 0.25)):
        seen = bench.detection(options.times, options.seed, target=target, calm=calm, worse=worse)
        print(
            f"{calm:.0%} to {worse:.0%} at a target of {target:.0%}: seen after {seen.delay:.0f} labels (median,"
            f" p90 {seen.late}), false alarms in 2,000 labels in control: {seen.false:.1%}",
            flush=True,
        )


def main(arguments: list[str]) -> None:
    about, *more = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=about, epilog="".join(more),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("what", choices=tuple(BENCHES))
    parser.add_argument("--rows", type=int)
    parser.add_argument("--engine", choices=("sqlite", "postgresql", "both"))
    parser.add_argument("--sizes", type=lambda text: [int(size) for size in text.split(",")])
    parser.add_argument("--times", type=int)
    parser.add_argument("--only", choices=("files", "queue", "submits", "webhooks", "screen", "calls"))
    parser.add_argument("--beside", choices=("label-studio",))
    parser.add_argument("--peer", type=lambda text: Path(text).resolve())
    parser.add_argument("--seed", type=int, default=20_261_125)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)
    storing = options.what == "store"
    rows, times, sizes = (500_000, 1_000, [10_000, 100_000, 1_000_000]) if storing else (20_000, 200, [])
    times = {"gate": 5, "quality": 20, "quality-coverage": 2_000}.get(options.what, times)
    # Of the gate: how many verdicts, and how many keys.
    sizes = {"gate": [200], "evals": [5_000], "quality": [50_000, 500_000, 5_000_000]}.get(options.what, sizes)
    if options.quick:
        rows, times, sizes = (
            600 if storing else 200,
            1 if options.what == "gate" else 10,
            {"gate": [10], "evals": [40]}.get(options.what, [50, 100, 200]),
        )
        options.rows = options.times = None
    options.rows, options.times, options.sizes = options.rows or rows, options.times or times, options.sizes or sizes
    engine = options.engine or ("both" if storing or options.what == "quality" else "sqlite")
    options.engines = ("sqlite", "postgresql") if engine == "both" else (engine,)
    BENCHES[options.what](options)


BENCHES = {
    "store": store, "review": review, "gate": gate, "evals": evals, "quality": quality,
    "quality-coverage": quality_coverage,
}  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
