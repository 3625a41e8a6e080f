"""What is built, installed on its own, does what the README begins with.

Run by ``tox -e smoke``: builds the sdist and the wheel from a copy of the tree, installs each of them,
and the copy itself in editable mode, into an empty environment without a development dependency, and drives
the commands there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".tox", ".monarch", "*.egg-info", "build", "dist", "__pycache__", ".*cache"
)


def run(*command: str | Path, cwd: Path) -> str:
    """What ``command`` prints; shown, and the end of the smoke test, if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def install(folder: Path, *what: str) -> Path:
    """An empty environment with ``what`` in it, as the folder of its programs."""
    venv.create(folder, with_pip=True)
    run(folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *what, cwd=folder)
    return folder / "bin"


def drive(programs: Path, folder: Path) -> None:
    """Every command that needs no server."""
    folder.mkdir()
    monarch = programs / "monarch"
    assert "Migrations should happen naturally." in run(monarch, "--help", cwd=folder)
    run(monarch, "init", cwd=folder)
    run(monarch, "generate", "add_indexes", cwd=folder)
    assert "development" in run(programs / "python", "-m", "monarch", "list_environments", cwd=folder)
    (written,) = (folder / "migrations").glob("_*_add_indexes_migration.py")
    assert "class AddIndexesMigration(MongoBackedMigration):" in written.read_text()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="monarch-smoke-") as temporary:
        top = Path(temporary)
        tree, dist = top / "tree", top / "dist"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        run(sys.executable, "-m", "build", "--outdir", dist, tree, cwd=top)
        (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")

        programs = install(top / "wheel", f"{wheel}[embedded]")
        drive(programs, top / "project-wheel")
        installed = run(programs / "pip", "freeze", cwd=top)
        words = set(installed.replace("==", "\n").split())
        unexpected = words & {"pytest", "mypy", "ruff", "tox", "hypothesis"}
        assert not unexpected, unexpected
        story = run(programs / "monarch", "demo", cwd=top)
        assert story.count("2 migrations done") == 2, story
        print("wheel: help, init, generate, demo")

        drive(install(top / "sdist", str(sdist)), top / "project-sdist")
        print("sdist: help, init, generate")
        drive(install(top / "editable", "-e", str(tree)), top / "project-editable")
        print("editable: help, init, generate")


if __name__ == "__main__":
    main()
