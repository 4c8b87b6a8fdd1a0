"""The transactions of XDS.b and of what was added to it, in Framework order.

Multi-Patient Queries (ITI-51), Metadata Update (ITI-57), On-Demand Documents (ITI-61), Remove Metadata and Documents
(ITI-62, ITI-86), Restricted Metadata Update (ITI-92).
"""

from profiles.xds.iti18 import ITI_18
from profiles.xds.iti41 import ITI_41
from profiles.xds.iti42 import ITI_42
from profiles.xds.iti43 import ITI_43
from profiles.xds.iti51 import ITI_51
from profiles.xds.iti57 import ITI_57
from profiles.xds.iti61 import ITI_61
from profiles.xds.iti62 import ITI_62
from profiles.xds.iti86 import ITI_86
from profiles.xds.iti92 import ITI_92

TRANSACTIONS = (ITI_18, ITI_41, ITI_42, ITI_43, ITI_51, ITI_57, ITI_61, ITI_62, ITI_86, ITI_92)
