"""XCA-I: instances retrieved across communities, by imaging gateways. What is said is XDS-I.b's; the home must be named.

Source: RAD TF-1 29; RAD TF-2 4.75.
"""
