"""ITI-42 Register Document Set-b: a repository tells a registry what it holds.

Source: ITI TF-2 3.42.
"""

from profiles.xds.iti42.messages import RegisterRequest, RegistryError, RegistryResponse, ResponseStatus
from profiles.xds.iti42.spec import ITI_42

__all__ = ["ITI_42", "RegisterRequest", "RegistryError", "RegistryResponse", "ResponseStatus"]
