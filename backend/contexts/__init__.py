"""Contexts at work: their files, the container they describe, and how far the two differ."""
