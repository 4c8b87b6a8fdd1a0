"""One module for each step, oldest first; released ones are never changed."""
