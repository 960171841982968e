"""The page of folders that are mounted."""
