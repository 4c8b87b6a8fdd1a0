"""The native DICOM model in XML, with pydicom's reading of the JSON beside it."""

from lxml import etree

from profiles.wire.dicom.xmlmodel import NAMESPACE, native_xml

INSTANCE = b"""{
 "00080005":{"vr":"CS","Value":["ISO_IR 192"]},
 "00080061":{"vr":"CS","Value":["CT",null,"SR"]},
 "00090010":{"vr":"LO","Value":["ACME <1>"]},
 "00091001":{"vr":"DS","Value":[1.50]},
 "00100010":{"vr":"PN","Value":[{"Alphabetic":"M\xc3\xbcller^Zo\xc3\xab^^Dr.","Ideographic":"\xe5\xb1\xb1"}]},
 "00100020":{"vr":"LO","Value":["a<b&c"]},
 "00081140":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2"]}},{}]},
 "00200010":{"vr":"SH"},
 "00281201":{"vr":"OW","InlineBinary":"AAE="}
}"""


def test_every_kind_of_value_is_written() -> None:
    root = etree.fromstring(native_xml(INSTANCE))
    assert root.tag == f"{{{NAMESPACE}}}NativeDicomModel"

    def find(path: str) -> list[etree._Element]:
        return root.findall(path, {None: NAMESPACE})  # type: ignore[dict-item]  # lxml takes None for the default one

    tags = [each.get("tag") for each in find("DicomAttribute")]
    assert tags == sorted(tags)
    by_tag = {each.get("tag"): each for each in find("DicomAttribute")}
    assert by_tag["00100020"].get("keyword") == "PatientID"
    assert by_tag["00100020"][0].text == "a<b&c"
    assert [(each.get("number"), each.text) for each in by_tag["00080061"]] == [("1", "CT"), ("3", "SR")]
    assert by_tag["00091001"].get("privateCreator") == "ACME <1>"
    assert [each.text for each in find("DicomAttribute/PersonName/Alphabetic/*")] == ["Müller", "Zoë", "Dr."]
    assert [each.get("number") for each in by_tag["00081140"]] == ["1", "2"]
    assert len(by_tag["00200010"]) == 0
    assert by_tag["00281201"][0].text == "AAE="
