"""Check that the built packages work without development dependencies, with the README's first commands.

``tox -e smoke`` runs it. It builds the sdist and the wheel from a copy of the tree, and installs the wheel
with its requirements into an empty environment. There it runs commands. Then it replaces the wheel by the
sdist, and by the copy itself in editable mode, which need the same, and runs commands again.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".tox", ".monarch", "*.egg-info", "build", "dist", "__pycache__", ".*cache"
)


def run(*command: str | Path, cwd: Path) -> str:
    """Return the output of ``command``. If it fails, show the output and end the smoke test."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def install(programs: Path, *what: str) -> None:
    """Install ``what`` into the environment with these ``programs``."""
    options = ("--quiet", "--disable-pip-version-check", "--no-compile")
    run(*pip(programs), "install", *options, *what, cwd=programs)


def pip(programs: Path) -> tuple[str | Path, ...]:
    """Return the pip of this process, for the environment with these ``programs``: it has none of its own."""
    return sys.executable, "-I", "-m", "pip", "--python", programs / "python"


def replace_by(programs: Path, *what: str) -> None:
    """Install ``what`` in place of the installed monarch."""
    run(*pip(programs), "uninstall", "--quiet", "--yes", "monarch", cwd=programs)
    assert not any(programs.parent.glob("lib/*/site-packages/monarch"))
    install(programs, "--no-deps", *what)


def drive(programs: Path, folder: Path) -> None:
    """Run the commands that need no server."""
    folder.mkdir()
    monarch = programs / "monarch"
    assert "Migrations should happen naturally." in run(monarch, "--help", cwd=folder)
    assert "Take, list, verify and restore backups" in run(monarch, "help", cwd=folder)
    run(monarch, "init", cwd=folder)
    run(monarch, "generate", "add_indexes", cwd=folder)
    assert "development" in run(programs / "python", "-m", "monarch", "list_environments", cwd=folder)
    (written,) = (folder / "migrations").glob("_*_add_indexes_migration.py")
    assert "class AddIndexesMigration(MongoBackedMigration):" in written.read_text()


def look_into(wheel: Path, sdist: Path) -> None:
    """Check that the wheel has only monarch, and the sdist also the manual and the tests."""
    with zipfile.ZipFile(wheel) as opened:
        tops = {name.split("/")[0] for name in opened.namelist()}
    unexpected = {top for top in tops if top != "monarch" and not top.endswith((".dist-info", ".data"))}
    assert not unexpected, unexpected
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    needed = {
        "README.rst",
        "CHANGES.rst",
        "CONTRIBUTING.rst",
        "changes/README.rst",
        "tox.ini",
        "toxfile.py",
        "tests/conftest.py",
    }
    needed |= {str(file.relative_to(ROOT)) for file in (ROOT / "docs").glob("*.*") if file.suffix != ".pyc"}
    assert needed <= packed, needed - packed


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="monarch-smoke-") as temporary:
        top = Path(temporary)
        tree, dist = top / "tree", top / "dist"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, tree, cwd=top)
        (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
        look_into(wheel, sdist)

        venv.create(top / "environment")
        programs = top / "environment" / "bin"
        install(programs, f"{wheel}[embedded]")
        drive(programs, top / "project-wheel")
        assert (programs.parent / "share" / "man" / "man1" / "monarch.1").is_file()
        installed = run(*pip(programs), "freeze", cwd=top)
        words = set(installed.replace("==", "\n").split())
        unexpected = words & {"pytest", "mypy", "ruff", "tox", "hypothesis"}
        assert not unexpected, unexpected
        story = run(programs / "monarch", "demo", cwd=top)
        assert story.count("2 migrations done") == 2, story
        print("wheel: help, init, generate, demo")

        replace_by(programs, str(sdist))
        drive(programs, top / "project-sdist")
        print("sdist: help, init, generate")
        replace_by(programs, "--editable", str(tree))
        drive(programs, top / "project-editable")
        print("editable: help, init, generate")


if __name__ == "__main__":
    main()
