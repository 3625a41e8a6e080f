"""The version, in a file of its own so that setup.py and --version read it without imports."""

__version__ = "1.0.0.dev0"
