"""A registry object as ebXML for people: what the wire says of it, indented."""

from lxml import etree

from profiles.model.document import Association, DocumentEntry, Folder, SubmissionSet
from profiles.wire.ebxml.entry import Phase, extrinsic_object
from profiles.wire.ebxml.rim import RIM
from profiles.wire.ebxml.submission import association, folder, submission_set
from profiles.wire.xml import parse


def readable(value: DocumentEntry | SubmissionSet | Folder | Association) -> str:
    """The object as a registry writes it, a line an element."""
    match value:
        case DocumentEntry():
            text = extrinsic_object(value, Phase.REGISTERED)
        case SubmissionSet():
            text = submission_set(value, Phase.REGISTERED)
        case Folder():
            text = folder(value, Phase.REGISTERED)
        case Association():
            text = association(value, Phase.REGISTERED)
    list_ = parse(f'<rim:RegistryObjectList xmlns:rim="{RIM}">{text}</rim:RegistryObjectList>'.encode())
    etree.indent(list_)
    return etree.tostring(list_, encoding="unicode")
