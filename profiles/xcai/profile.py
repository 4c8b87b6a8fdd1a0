"""The transactions of XCA-I."""

from profiles.xcai.rad75 import RAD_75

TRANSACTIONS = (RAD_75,)
