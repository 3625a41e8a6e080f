"""What a person sees: output, questions, errors."""
