"""What one can do with a project, a file a topic; `monarch.project.Project` is all of it."""
