"""Measures the detectors beside scikit-learn, in one run, and prints the table of docs/benchmarks.md.

    python3 benches/against_scikit_learn.py [--rows 20000] [--rounds 3] [--data latent|uniform] [--codes CODES.h5] ...

Needs a Rust toolchain and a Python with scikit-learn (and h5py for --codes). Each detector is fitted to the first half of the
rows and scores the second, scikit-learn and the program in turn, round after round, both with two threads; numbers are
medians. Progress goes to standard error, the table to standard output.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
THREADS = "2"
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "LOKY_MAX_CPU_COUNT"):
    os.environ[name] = THREADS

import numpy as np  # noqa: E402 (the threads are settled before)
from sklearn.covariance import LedoitWolf  # noqa: E402
from sklearn.decomposition import PCA  # noqa: E402
from sklearn.ensemble import IsolationForest  # noqa: E402
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors  # noqa: E402
from sklearn.svm import OneClassSVM  # noqa: E402

DETECTORS = {
    "IsolationForest": (lambda: IsolationForest(n_jobs=2), lambda fitted, rows: fitted.score_samples(rows)),
    "LocalOutlierFactor": (
        lambda: LocalOutlierFactor(novelty=True, n_jobs=2),
        lambda fitted, rows: fitted.score_samples(rows),
    ),
    "OneClassSVM": (OneClassSVM, lambda fitted, rows: fitted.score_samples(rows)),
    "KNearestNeighbours": (
        lambda: NearestNeighbors(n_neighbors=5, n_jobs=2),
        lambda fitted, rows: fitted.kneighbors(rows)[0][:, -1],
    ),
    "Mahalanobis": (LedoitWolf, lambda fitted, rows: fitted.mahalanobis(rows)),
    "PrincipalComponents": (
        lambda: PCA(0.99, svd_solver="full"),
        lambda fitted, rows: ((rows - fitted.inverse_transform(fitted.transform(rows))) ** 2).sum(axis=1),
    ),
}


def rows_of(arguments):
    """All rows: of a file of codes, or made from a seed."""
    if arguments.codes:
        import h5py

        with h5py.File(arguments.codes) as file:
            return file["codes"][: 2 * arguments.rows].astype(np.float32)
    rng = np.random.default_rng(7)
    if arguments.data == "uniform":
        return rng.random((2 * arguments.rows, 64), dtype=np.float32)
    # Like codes: few things vary, the rest follows, and tanh keeps all within (-1, 1).
    latent = rng.normal(size=(2 * arguments.rows, 6)) @ rng.normal(size=(6, 64))
    return np.tanh(latent + 0.05 * rng.normal(size=latent.shape)).astype(np.float32)


def measured(work):
    begin = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description="Measures the detectors beside scikit-learn and prints a table.")
    parser.add_argument("--rows", type=int, default=20000, help="to fit to, and again to score")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", choices=("latent", "uniform"), default="latent")
    parser.add_argument("--codes", help="a file of `pcapae encode`, instead")
    parser.add_argument("--detectors", nargs="+", choices=DETECTORS, default=list(DETECTORS))
    arguments = parser.parse_args()
    subprocess.run(
        ["cargo", "build", "--quiet", "--release", "--package", "pcapae", "--example", "detector_speed"],
        cwd=ROOT,
        check=True,
    )
    rows = rows_of(arguments)
    half = len(rows) // 2
    train, new = rows[:half], rows[half:]
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder, name)) for name in ("train.f32", "new.f32")]
        for file, part in zip(files, (train, new), strict=True):
            part.tofile(file)
        program = [str(ROOT / "target/release/examples/detector_speed")]
        for round_ in range(arguments.rounds):
            for detector in arguments.detectors:
                print(f"round {round_ + 1}: {detector}", file=sys.stderr)
                begin, score = DETECTORS[detector]
                fitted, fit_seconds = measured(lambda: begin().fit(train))
                _, score_seconds = measured(lambda: score(fitted, new))
                line = subprocess.run(
                    [*program, detector, *files, str(rows.shape[1])], check=True, capture_output=True, text=True
                ).stdout.split()
                ours = float(line[0]), float(line[1])
                seconds.setdefault(detector, []).append((fit_seconds, ours[0], score_seconds, ours[1]))
    print(f"{half} rows to fit to and {len(new)} to score, of {rows.shape[1]} numbers, {arguments.rounds} rounds")
    print("\n| detector | fit, scikit-learn, s | fit, s | ratio | score, scikit-learn, s | score, s | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for detector, measures in seconds.items():
        theirs_fit, fit, theirs_score, score = (statistics.median(column) for column in zip(*measures, strict=True))
        print(
            f"| {detector} | {theirs_fit:.3f} | {fit:.3f} | {theirs_fit / fit:.1f} "
            f"| {theirs_score:.3f} | {score:.3f} | {theirs_score / score:.1f} |"
        )


if __name__ == "__main__":
    main()
