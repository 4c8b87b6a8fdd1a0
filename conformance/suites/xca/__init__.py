"""XCA: what a community answers to others."""
