"""Datasets for the judges: pydicom writes them, in every native transfer syntax, with whatever hypothesis thinks of."""

import io
import warnings

import pydicom
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)

CHARSETS = {
    "ISO_IR 6": st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="\\^="),
    "ISO_IR 100": st.characters(
        min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\\^=\x7f", exclude_categories=["Cc"]
    ),
    "ISO_IR 192": st.characters(
        min_codepoint=0x20, exclude_characters="\\^=", exclude_categories=["Cc", "Cs", "Cn", "Co"]
    ),
}


def text_of(charset: str, size: int) -> st.SearchStrategy[str]:
    return st.text(CHARSETS[charset], max_size=size).map(lambda text: text.strip())


uids = st.lists(st.integers(0, 99999), min_size=2, max_size=6).map(lambda parts: "1.2." + ".".join(map(str, parts)))
decimals = st.decimals(-9999, 9999, places=3).map(lambda each: f"{each:f}"[:16])


def _elements(charset: str) -> st.SearchStrategy[Dataset]:
    """A level of a dataset, without sequences."""
    values: dict[str, st.SearchStrategy[object]] = {
        "ImageType": st.lists(st.sampled_from(["ORIGINAL", "PRIMARY", "AXIAL", ""]), min_size=1, max_size=4),
        "StudyDate": st.dates().map(lambda d: d.strftime("%Y%m%d").zfill(8)),
        "StudyTime": st.times().map(lambda t: t.strftime("%H%M%S.%f")),
        "AcquisitionDateTime": st.datetimes().map(lambda d: d.strftime("%Y%m%d%H%M%S").zfill(14)),
        "AccessionNumber": text_of(charset, 16),
        "StudyDescription": text_of(charset, 64),
        "PatientComments": text_of(charset, 300),
        "OtherPatientNames": st.lists(text_of(charset, 20).filter(bool), min_size=1, max_size=3),
        "SliceThickness": decimals,
        "PixelSpacing": st.lists(decimals, min_size=2, max_size=2),
        "SeriesNumber": st.integers(-(2**31), 2**31 - 1).map(str),
        "Rows": st.integers(0, 65535),
        "SimpleFrameList": st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5),
        "TableOfParameterValues": st.lists(
            st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=3
        ),
        "RealWorldValueSlope": st.floats(allow_nan=False, allow_infinity=False),
        "FrameIncrementPointer": st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=2),
        "RetrieveURL": st.just("http://example.org/a?b=c"),
        "LongCodeValue": text_of(charset, 40),
        "PatientAge": st.just("045Y"),
        "RetrieveAETitle": st.just("RADGATE"),
        "ICCProfile": st.binary(min_size=2, max_size=600).map(lambda b: b + bytes(len(b) & 1)),
        "RedPaletteColorLookupTableData": st.binary(min_size=2, max_size=40).map(lambda b: b + bytes(len(b) & 1)),
        "FailedSOPInstanceUIDList": st.lists(uids, min_size=1, max_size=3),
    }

    def build(chosen: dict[str, object]) -> Dataset:
        dataset = Dataset()
        for keyword, value in chosen.items():
            setattr(dataset, keyword, value)
        return dataset

    optional = {keyword: st.none() | values[keyword] for keyword in values}
    return st.fixed_dictionaries({}, optional=optional).map(build)


@st.composite
def datasets(draw: st.DrawFn, charset: str | None = None) -> Dataset:
    """Three levels of sequences at most, private elements, every VR."""
    name = charset if charset is not None else draw(st.sampled_from(sorted(CHARSETS)))
    dataset: Dataset = draw(_elements(name))
    dataset.SpecificCharacterSet = name
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = draw(uids)
    dataset.StudyInstanceUID = draw(uids)
    dataset.SeriesInstanceUID = draw(uids)
    dataset.PatientName = draw(text_of(name, 20)) + "^" + draw(text_of(name, 20))
    dataset.PatientID = draw(text_of(name, 16))
    inner = st.lists(_elements(name), max_size=2)
    for keyword in ("RequestAttributesSequence", "OtherPatientIDsSequence", "OriginalAttributesSequence"):
        if draw(st.booleans()):
            items = draw(inner)
            for each in items:
                if draw(st.booleans()):
                    each.ProcedureCodeSequence = Sequence(draw(inner))
                each.is_undefined_length_sequence_item = draw(st.booleans())
            setattr(dataset, keyword, Sequence(items))
            dataset[keyword].is_undefined_length = draw(st.booleans())
    if draw(st.booleans()):
        block = dataset.private_block(0x0099, "RADGATE TEST", create=True)
        block.add_new(0x01, "LO", draw(text_of(name, 20)))
        block.add_new(0x02, "OB", draw(st.binary(max_size=20)))
    return dataset


def written(dataset: Dataset, transfer_syntax: str, pixels: bytes | None = None) -> bytes:
    """The Part 10 file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if pixels is not None:
        dataset.BitsAllocated = 16
        dataset.PixelRepresentation = 0
        dataset.add_new(0x7FE00010, "OW", pixels)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def read(body: bytes) -> Dataset:
    """The judge's own reading."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(io.BytesIO(body))
