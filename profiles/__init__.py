"""What the standards say: values, codecs and rules. No IO, no clock, no randomness."""
