"""Data for tests: made up deterministically, or captured from real machines."""
