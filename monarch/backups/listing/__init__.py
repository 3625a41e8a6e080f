"""Reading what a store holds: the files of backups, their manifests, and a cache of these."""
