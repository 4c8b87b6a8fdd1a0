"""SOAP 1.2 with WS-Addressing and MTOM, read and written as a stream.

Source: ITI TF-2 Appendix V; SOAP 1.2 Part 1; XOP 1.0.
"""
