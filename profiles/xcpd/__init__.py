"""XCPD: communities find out by which ids they know the same patient. Source: ITI TF-1 27; ITI TF-2 3.55."""
