"""The dashboard: everything that knows the screen."""
