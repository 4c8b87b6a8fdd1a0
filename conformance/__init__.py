"""How any house is proved, ours included. Imports `profiles`, never `gateway`."""
