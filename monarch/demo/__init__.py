"""The demo: a story that runs the real commands, and a sample project for each kind of database."""
