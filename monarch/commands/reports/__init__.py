"""Reports of a run of migrations."""
