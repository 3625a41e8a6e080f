"""Import a project's own code, as the ``import`` statement in its folder would."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from shlex import quote
from types import ModuleType

from monarch.errors import ProjectError
from monarch.system.tracebacks import describe_error_in

# The packages of modules that settings often import.
_PACKAGES = {
    "decouple": "python-decouple",
    "django": "Django",
    "dotenv": "python-dotenv",
    "dynaconf": "dynaconf",
    "environ": "django-environ",
    "environs": "environs",
    "hvac": "hvac",
    "keyring": "keyring",
    "pydantic": "pydantic",
    "pydantic_settings": "pydantic-settings",
    "requests": "requests",
    "yaml": "PyYAML",
}


@contextmanager
def importable(root: Path) -> Iterator[None]:
    """Let imports in this context find the project's own packages, as in a script in its folder."""
    entry = str(root.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        if entry in sys.path:  # the project's code may have removed it
            sys.path.remove(entry)


def execute_file(path: Path, root: Path, top: Path | None = None) -> ModuleType:
    """Import ``path``, a file in a folder of the project at ``root``, again if it is loaded.

    The module is called ``<folder>.<file>``, by the path of the folder from ``root``, and is in
    ``sys.modules``, so that dataclasses, pickles, relative imports and processes that are spawned find it.
    The folder is its package, also without an ``__init__.py``, and even if an installed package has the same
    name. What the file raises is passed on.

    :param top: the folder whose package the names begin with, if that is not the one that the file is in:
        the module is then ``<top>.<folder>.<file>``.
    """
    with importable(root):
        top = top or path.parent
        parent = _import_packages(top, _dotted(top, root), path.parent)
        name = f"{parent.__name__}.{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None  # a path that ends in .py has a loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            # From its text: Python would use an old compiled version if second and size are the same.
            # Only the file decides which features of the future it uses.
            exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), module.__dict__)
        except BaseException:
            sys.modules.pop(name, None)
            raise
    setattr(parent, path.stem, module)
    return module


def import_file(path: Path, root: Path, top: Path | None = None) -> ModuleType:
    """Return the module of `execute_file`.

    :raises ProjectError: if that fails, with a hint that fits.
    """
    top = top or path.parent
    try:
        return execute_file(path, root, top)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        name = _dotted(top, root)
        shown = (Path(name.replace(".", "/")) / path.relative_to(top)).as_posix()
        hint = _hint_for_neighbour(path, top, name, error) or hint_for(error)
        raise ProjectError(
            f"{path.stem} cannot be loaded: {describe_error_in(path, error, shown=shown)}",
            f"Nothing has run. {hint} --traceback shows the whole traceback.",
        ) from error


def _hint_for_neighbour(path: Path, top: Path, name: str, error: BaseException) -> str | None:
    """Return what to do if ``path``, in a folder in ``top``, imports as if it were in ``top`` itself."""
    if not isinstance(error, ModuleNotFoundError) or path.parent == top:
        return None
    beside, _, module = (error.name or "").rpartition(".")
    if beside != ".".join([name, *map(_package_name, _below(top, path.parent))]):
        return None
    if not any((top / f"{module}{ending}").exists() for ending in ("", ".py")):
        return None
    return (
        f"{module!r} is in {name.replace('.', '/')}/, not beside the file: "
        f"write `from {name}.{module} import …`, "
        "which is right in any folder."
    )


def hint_for(error: BaseException) -> str:
    """Return what to do about ``error``, which a file of the project raised while it was imported."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return (
            f"{sys.executable} has no module {error.name!r}. {_how_to_install(error.name)} If another Python "
            "has it, install monarch there and run `python -m monarch` with that one. If it is your own code "
            "in a folder such as src/, set PYTHONPATH to that folder. Then try again."
        )
    return "Fix the file and try again."


def _how_to_install(module: str) -> str:
    pip = f"{quote(sys.executable)} -m pip install"
    package = _PACKAGES.get(module.partition(".")[0].lower())
    if package is not None:
        return f"Install it there: `{pip} {package}`."
    # A package that is called like the module may be a stranger's.
    return f"If a package provides it, install that package: `{pip} PACKAGE`."


def is_unwritten(path: Path, class_name: str) -> bool:
    """Whether ``run`` of the class in ``path`` does nothing but to raise NotImplementedError."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name == "run":
                    body = [line for line in method.body if not _is_text(line)]
                    return len(body) == 1 and ast.unparse(body[0]).startswith("raise NotImplementedError")
    return False


def _is_text(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)


def _dotted(top: Path, root: Path) -> str:
    """Return the name of the package in ``top`` for code that imports it from ``root``."""
    for base in (root, root.resolve()):
        if top != base and top.is_relative_to(base):
            return ".".join(part.replace(".", "_") for part in top.relative_to(base).parts)
    return top.name


def _import_packages(top: Path, name: str, folder: Path) -> ModuleType:
    """Import the package ``name`` in ``top``, and those of the folders down to ``folder``; return the last.

    The packages above ``top`` are not imported: they are the application's, and may do much.
    """
    package = _import_package(top, name)
    for path in _below(top, folder):
        name = _package_name(path)
        inner = _import_package(path, f"{package.__name__}.{name}")
        setattr(package, name, inner)
        package = inner
    return package


def _below(top: Path, folder: Path) -> list[Path]:
    """Return the folders from the one in ``top`` down to ``folder``."""
    return [folder, *folder.parents][: len(folder.relative_to(top).parts)][::-1]


def _package_name(folder: Path) -> str:
    """Return the name of the package in ``folder`` in that of its parent."""
    name = folder.name.replace(".", "_")  # a dot would be another package
    # As for Python, a module has the name that it shares with a folder without an __init__.py.
    is_module = not (folder / "__init__.py").exists() and folder.with_name(f"{name}.py").exists()
    return f"{name}_" if is_module else name


def _import_package(folder: Path, name: str) -> ModuleType:
    """Import the package ``name`` in ``folder``, unless it is loaded. Forget such a one from elsewhere."""
    loaded = sys.modules.get(name)
    if loaded is not None and str(folder) in list(getattr(loaded, "__path__", ())):
        return loaded
    for other in [other for other in sys.modules if other == name or other.startswith(f"{name}.")]:
        del sys.modules[other]
    init = folder / "__init__.py"
    if init.is_file():
        spec = importlib.util.spec_from_file_location(name, init, submodule_search_locations=[str(folder)])
    else:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
    assert spec is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    if spec.loader is not None:
        try:
            spec.loader.exec_module(package)
        except BaseException:
            sys.modules.pop(name, None)
            raise
    return package
