"""Cross-Gateway Document Provide, in model terms: the request of ITI-41, addressed to a community, and its answer."""

from profiles.xds.iti41 import ProvideAndRegisterRequest, RegistryError, RegistryResponse, ResponseStatus

__all__ = ["ProvideAndRegisterRequest", "RegistryError", "RegistryResponse", "ResponseStatus"]
