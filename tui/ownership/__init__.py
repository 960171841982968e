"""The page of what keeps ownership right."""
