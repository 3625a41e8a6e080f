"""The files in ``migrations/``: their names, which of them are migrations, and the class in each."""
