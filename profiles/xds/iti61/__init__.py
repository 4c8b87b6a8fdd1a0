"""ITI-61 Register On-Demand Document Entry: a source tells a registry of a document that it makes when it is asked for.

Source: ITI TF-2 3.61 (On-Demand Documents).
"""

from profiles.xds.iti61.messages import RegisterOnDemandRequest, RegistryError, RegistryResponse, ResponseStatus
from profiles.xds.iti61.spec import ITI_61

__all__ = ["ITI_61", "RegisterOnDemandRequest", "RegistryError", "RegistryResponse", "ResponseStatus"]
