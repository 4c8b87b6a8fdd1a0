"""The transactions of XDS-I.b, in Framework order."""

from profiles.xdsi.rad68 import RAD_68
from profiles.xdsi.rad69 import RAD_69

TRANSACTIONS = (RAD_68, RAD_69)
