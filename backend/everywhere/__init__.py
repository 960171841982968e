"""One command on many hosts at once, over the one connection that each has."""
