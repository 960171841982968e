"""Pages for people, and what writes the part of them that follows from the code."""
