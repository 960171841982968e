"""Sync in the dashboard: what would be done with each host, and doing it."""
