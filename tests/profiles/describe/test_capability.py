from profiles.catalogue import TRANSACTIONS
from profiles.describe.capability import interactions_of
from profiles.ehr.profile import TRANSACTIONS as EHR


def test_of_all_transactions_those_of_fhir_are_listed_in_their_order() -> None:
    listed = interactions_of(TRANSACTIONS)
    assert listed == tuple(each.interaction for each in EHR)
    assert {(each.resource, each.code) for each in listed} >= {
        ("ImagingStudy", "read"),
        ("ImagingStudy", "search-type"),
    }
