"""PIXV3: patient identifiers fed and cross-referenced by HL7 V3. What PIX says in v2 is said again here.

Source: ITI TF-1 23; ITI TF-2 3.44, 3.45, 3.46.
"""
