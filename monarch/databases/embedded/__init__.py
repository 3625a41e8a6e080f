"""What embedded servers of all kinds need: a folder in the project, and commands that share a server."""
