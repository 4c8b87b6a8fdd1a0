"""ITI-80 Cross-Gateway Document Provide: a gateway hands documents to another community.

Source: ITI TF-2 3.80.
"""

from profiles.xcdr.iti80.messages import ProvideAndRegisterRequest, RegistryError, RegistryResponse, ResponseStatus
from profiles.xcdr.iti80.spec import ITI_80

__all__ = ["ITI_80", "ProvideAndRegisterRequest", "RegistryError", "RegistryResponse", "ResponseStatus"]
