"""The profile's transactions."""

from profiles.swf.oru_r01 import ORU_R01

TRANSACTIONS = (ORU_R01,)
