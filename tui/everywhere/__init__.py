"""One command on many hosts, beside each other."""
