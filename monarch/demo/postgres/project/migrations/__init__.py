# The migrations of this project. monarch finds them by their file names:
# _YYYYMMDDHHMM_<name>_migration.py, in the order of those names.
