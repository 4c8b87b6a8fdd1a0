"""The transactions of XDS.b, in Framework order."""

from profiles.xds.iti18 import ITI_18
from profiles.xds.iti41 import ITI_41
from profiles.xds.iti42 import ITI_42
from profiles.xds.iti43 import ITI_43

TRANSACTIONS = (ITI_18, ITI_41, ITI_42, ITI_43)
