"""The backup, run by the monitoring host and the operator's station: files of both are put in store."""

from pathlib import Path


def write_project(path: Path) -> None:
    """The operator's station's project: pictures and lists of variables."""
    places = ((n, n * 37 % 1280, n * 53 % 800) for n in range(700))
    lines = (f"picture {n // 20:02d} element {n % 20:02d} x {x} y {y} tag V{n:04d}\n" for n, x, y in places)
    path.write_text("".join(lines))


def from_controller(device: str) -> list[str]:
    return ["curl", "-sS", "-o", "/dev/null", f"http://{device}/backup"]


def from_operator(project: Path, server: str) -> list[str]:
    return ["curl", "-sS", "-T", str(project), f"http://{server}/operator/{project.name}"]
