"""What any program needs of its machine: files, processes, signals, secrets. Knows nothing of databases."""
