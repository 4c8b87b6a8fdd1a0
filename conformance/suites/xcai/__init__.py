"""XCA-I: what a community answers to others that ask for images."""
