"""What `monarch doctor` looks at in MongoDB. Nothing here writes."""
