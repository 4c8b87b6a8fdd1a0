"""XUA: who the person is on whose behalf another system asks.

Source: ITI TF-1 13; ITI TF-2 3.40.
"""
