"""XDS-I.b: imaging manifests shared as documents, their instances retrieved where the manifest says.

Source: RAD TF-1 18; RAD TF-2 4.68, 4.69.
"""
