"""Builds on a screen of their own: how far each is, its steps with their times, and what the builder says."""
