"""What a person types: arguments, options, completion."""
