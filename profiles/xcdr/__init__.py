"""XCDR: documents handed to another community, by gateways. What is said is XDS's; the home must be named.

Source: ITI TF-1 40; ITI TF-2 3.80.
"""
