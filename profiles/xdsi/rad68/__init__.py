"""RAD-68 Provide and Register Imaging Document Set: a source shares manifests (and reports), never pixels.

Source: RAD TF-2 4.68.
"""

from profiles.xdsi.rad68.listed_codes import ListedCodes, codes_outside
from profiles.xdsi.rad68.manifest_entry import (
    contradictions,
    entry_for,
    modalities_of_entry,
    submission_for,
)
from profiles.xdsi.rad68.messages import (
    ProvideAndRegisterRequest,
    RegistryError,
    RegistryResponse,
    ResponseStatus,
    is_imaging,
    is_manifest,
)
from profiles.xdsi.rad68.report_entry import report_entry
from profiles.xdsi.rad68.site_codes import (
    ACQUISITION_MODALITIES,
    ANATOMIC_REGIONS,
    DEFAULTS,
    REQUIRED,
    CodeRow,
    CodeSet,
    SiteCodes,
    chosen_codes,
)
from profiles.xdsi.rad68.spec import RAD_68

__all__ = [
    "ACQUISITION_MODALITIES",
    "ANATOMIC_REGIONS",
    "DEFAULTS",
    "RAD_68",
    "REQUIRED",
    "CodeRow",
    "CodeSet",
    "ListedCodes",
    "ProvideAndRegisterRequest",
    "RegistryError",
    "RegistryResponse",
    "ResponseStatus",
    "SiteCodes",
    "chosen_codes",
    "codes_outside",
    "contradictions",
    "entry_for",
    "is_imaging",
    "is_manifest",
    "modalities_of_entry",
    "report_entry",
    "submission_for",
]
