"""XCA: documents found and retrieved across communities, by gateways. What is said is XDS's; the home must be named.

Source: ITI TF-1 18; ITI TF-2 3.38, 3.39.
"""
