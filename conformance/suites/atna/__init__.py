"""ATNA: who may speak with a node, and what it says of what it did."""
