"""The files that `radgate config init` and `radgate config codes` write, explained. Tests keep them complete and true.

The settings with their defaults; and an affinity domain's codes, which as it stands says what is built in, with examples.
"""

TEXT = """\
# radgate settings. Every key can also be given by environment: RADGATE__HOUSE__NAME=Valley.
# Lists have commas there: RADGATE__TLS__TRUST=a.pem,b.pem. Relative paths are relative to this file, sqlite:/// too.
# What is commented out shows the default. `radgate config check` reads this file and says what is wrong with it.

[house]
name = "radgate"                    # how audit, logs and peers call this house
data = "data"                       # everything that is ours is below this folder
# Our ids. Without them, some are made at the first start and kept in the data folder.
# home_community_id = "urn:oid:1.2.3.1"
# repository_unique_id = "1.2.3.2"
# retrieve_location_uid = "1.2.3.3" # we, as Imaging Document Source: RAD-69's RepositoryUniqueId
# source_id = "1.2.3.2"             # SubmissionSet.sourceId; the repository's id without it
# patient_authority = "1.2.3.4"     # assigning authority of our own patient ids
# time_zone = "UTC"                 # of DICOM and HL7 times that name none, such as Europe/Berlin
# ae_title = "RADGATE"
# hl7_application = "RADGATE"       # MSH-3 of what we send, MSH-5 of what we are sent
# hl7_facility = ""                 # the house's name without it
# hl7_namespaces = { HOSPITAL = "1.2.3.4" }   # assigning authorities of ids that name no OID
# recipients = ["Valley Imaging", "*@direct.valley.example"]   # whom ITI-80 may be for; empty: anybody

[affinity_domain]
# patient_authority = "1.2.3.9"     # whose ids the registry that we share with speaks; without it: our own
# code_sets = "codes.toml"          # classCode, typeCode and the others that we publish with; `radgate config codes`
# check_codes = "off"               # codes that others submit and its lists do not have: "off", "warn" or "refuse"
# registry = "Region"               # the [[peer]] (ITI-42) that registers what our repository keeps; without it: we do
# shared_authorities = ["1.2.3.99"] # of ids that all communities share (national ones): told to those we ask by ITI-55

[store]
# url = "postgresql://radgate@localhost/radgate"   # or "sqlite:///data/radgate.db"; without it: in the data folder
# objects = "file:///srv/radgate/objects"   # documents; without it: in the data folder

[archive]
kind = "files"                      # or "dicomweb": your VNA or PACS
# url = "http://localhost:8042/dicom-web"
# native_url = "http://localhost:8042/instances"   # Orthanc only: large objects come several times faster
# user = ""
# password = ""                     # better by environment: RADGATE__ARCHIVE__PASSWORD
# look_again_s = 900.0              # between two walks through an archive that others fill too
# late_s = 600.0                    # so long it may not tell of what it was given; after that it has lost it

[listen]
host = "127.0.0.1"                  # another address wants [tls]
http_port = 8080                    # 0 picks a free one and prints it; 8443 is usual with TLS
mllp_port = 2575
# mllp = true
# base_url = ""                     # as others reach us, when a proxy stands between
# reply_url = ""                    # where peers bring answers that we ask for asynchronously; without it: base_url +
#                                   # /soap/reply. Of several processes each has its own: .../soap/reply/NAME
# drain_timeout_s = 20.0            # how long what is under way may take to end when we stop

[tls]
# certificate = "house.pem"
# key = "house.key"
# trust = ["root.pem"]              # authorities; peers' own certificates are trusted beside them
# client_certificate = "optional"   # optional: who shows none can only use the desk, behind its login

[audit]
# syslog = "tls://collector.example:6514"
# syslog_trust = ["collector-root.pem"]
# enterprise_site_id = ""
# checkpoint_records = 1000         # the chain's head is signed at least this often
# checkpoint_s = 60.0

[access]
# anonymous_loopback = false        # let this machine in without a name, for trying things out
# session_minutes = 30              # a desk left alone is closed

[limits]
# soap_root_bytes = 8388608         # a SOAP part without its documents
# document_bytes = 268435456        # one submitted document
# request_bytes = 0                 # one upload; 0: no limit, a study has none
# hl7_message_bytes = 67108864
# idle_timeout_s = 30.0             # nothing moved for so long; never a limit on a whole exchange
# results = 10000                   # objects in one answer to a query
# community_deadline_s = 20.0       # what another community may take until it begins to answer
# correlation_hours = 24.0          # by which ids communities know each other's patients; 0: never remembered

[retention]
# raw_days = 30                     # the beginning of each message, for operators; ten times as long where it failed
# raw_bytes = 1073741824            # all of them together; those that failed have as much again
# raw_key = "raw.key"               # encrypts them at rest: `openssl rand -hex 32 > raw.key`, not in `data`
# ask_days = 90                     # questions that were answered; ten times as long where they failed

[assertion]                         # XUA: who the person is on whose behalf somebody asks
# audience = ["https://valley.example"]   # URIs that mean us; without it: listen.base_url and our home community
# clock_skew_s = 60.0               # how far the clocks of two houses may be apart
# lifetime_s = 3600.0               # the longest that one may be valid to be accepted
# once = false                      # true: each is good for one message; else only those that ask for it themselves
# certificate = "assertions.pem"    # of the key that signs what we send; not that of [tls] if you can
# key = "assertions.key"
# entity_id = ""                    # who we are as an issuer; without it: our home community
# organization = ""                 # the house's name without it
# own_lifetime_s = 300.0
# purpose = { code = "TREAT", system = "2.16.840.1.113883.5.8", display = "treatment" }   # of calls of our own accord

# [[issuer]]                        # one for each whose assertions are believed
# name = "Lakeside IdP"
# entity_id = "https://idp.lakeside.example"   # what they call their Issuer; without it: the name
# certificates = ["lakeside-idp.pem"]   # whose keys may sign; two while they change them
# home_community_ids = ["urn:oid:1.2.4.1"]   # for which they may speak; without it: for any

# [[peer]]                          # one for each organisation or system that we exchange with
# name = "Lakeside"
# home_community_id = "urn:oid:1.2.4.1"
# homes = ["urn:oid:1.2.4.7"]       # further communities that it answers for; what it says of others is left out
# of_our_community = false          # others get its images (RAD-69), documents (ITI-43), entries (ITI-18)
# forward = false                   # pass on to it what others submit here for its communities (ITI-80)
# source_ids = ["1.2.4.5"]          # that its submissions may name; without it: any
# repository_unique_ids = ["1.2.4.2"]
# retrieve_location_uids = ["1.2.4.3"]
# patient_authority = "1.2.4.4"
# certificate = "lakeside.pem"      # who they are; also who we let in
# token_sha256 = ""                 # SHA-256 of a bearer token, for systems without a certificate
# unknown_patient = "hold"          # or "reject"
# tolerances = ["plain-soap-retrieve", "understood-headers"]   # which oddities are read; README has the list
# device_id = "1.2.4.1.8"           # what they are called as a receiver of HL7 V3; without it: home_community_id
# identifier_domains = []           # authorities whose ids their ITI-46 endpoint is notified of; empty: all
# scopes = []                       # transactions that they may ask for; empty: all but ITI-57, -62, -86 and -92, which
#                                   # change or remove what others brought and must be named
# hl7_application = ""              # MSH-5 of what we send them, MSH-3 of what they send us
# hl7_facility = ""
# reply_to = ["https://lakeside.example/soap/reply"]   # where they may ask SOAP answers, also deferred ones of ITI-55,
#                                   # to be brought; nowhere else
# ask_asynchronously = []           # SOAP transactions ("RAD-69") whose answers they bring to our listen.reply_url
# deferred_discovery = false        # true: ITI-55 is asked with priority D; they call back at base_url +
#                                   # /soap/initiating-gateway. Whoever asks meanwhile hears that they have not answered
# answer_timeout_s = 300.0          # until an answer that comes later begins to come; never a limit on the whole of it
# hl7_namespaces = { MPI = "1.2.4.4" }   # in what they send: wins over the house's, for two may mean two by one word
# assertion = "off"                 # of the person who asks: "off", "optional" or "required"
# issuers = []                      # names of [[issuer]]s whose assertions they may bring; empty: any
# purposes = []                     # codes of the purposes of use that are served ("TREAT", or "OID|TREAT"); empty: any
# roles = []                        # codes of the roles that are served; empty: any
# send_assertion = "off"            # what of ours we send them: "off", "bearer" or "holder-of-key"
# audience = ""                     # of what we send; without it: the address that is asked
# batch_instances = 100             # instances asked for in one RAD-69
# idle_timeout_s = 30.0
# [peer.endpoint]
# "RAD-68" = "https://lakeside.example/soap/document-recipient"
# "ITI-41" = "https://lakeside.example/soap/document-recipient"   # given documents that are of no images
# "RAD-69" = "https://lakeside.example/soap/imaging-source"
# "ITI-38" = "https://lakeside.example/soap/responding-gateway"   # another community: with its home_community_id
# "ITI-39" = "https://lakeside.example/soap/responding-gateway"
# "RAD-75" = "https://lakeside.example/soap/imaging-responding-gateway"
# "ITI-55" = "https://lakeside.example/soap/responding-gateway"   # asked by which id it knows a patient, before ITI-38
# "ITI-80" = "https://lakeside.example/soap/responding-gateway"   # given documents where it has no RAD-68 or ITI-41
# "ITI-42" = "https://region.example/soap/registry"        # of affinity_domain.registry
# "ITI-44" = "https://mpi.example/soap/patient-registry"   # told of patients who come, change and are merged
# "ITI-45" = "https://mpi.example/soap/patient-manager"    # asked for a patient's id in the affinity domain; ITI-47 too
# "ITI-46" = "https://ehr.example/soap/patient-manager"    # told by which ids patients are known
# "MLLP" = "mllps://lakeside.example:2575"

# [[repository]]                    # a further repository of ours, at base_url + /soap/repository/NAME; repeat for each
# name = "clinic"                   # the last part of its address: letters, digits, ".", "_" and "-"
# unique_id = "1.2.3.21"            # repositoryUniqueId of its documents; nobody else's
# home_community_id = "urn:oid:1.2.3.20"   # the community that they are of; without it: the house's
# patient_authority = "1.2.3.24"    # of the patient ids that its submissions name; without it: the affinity domain's

[publish]
# per_minute = 60                   # studies at most, of a back-fill and of what a walk through the archive finds
# keep_on_demand = false            # keep what is made on demand, and register it as a snapshot of its on-demand entry

# [[rule]]                          # what happens by itself; what was published is kept true without one
# when = "study.available"          # it came, or more of it; or "study.changed": patient's data, or what the archive has
# do = ["announce:EHR", "share:Region"]   # or "register": in our registry; "offer", "offer:Region": on demand
# modality = ["CT", "MR"]           # conditions; all that are given must hold, and of each list one is enough
# institution = ["Lake*"]
# description = ["*chest*"]
# younger_than_days = 3650          # since the study began
"""


CODES = """\
# Codes of the affinity domain, and how a study's own words lead to them. Name this file in radgate.toml:
#     [affinity_domain]
#     code_sets = "codes.toml"
# It is checked when the house starts, and read again when it was changed.

language_code = "en-US"
# accession_authority = "1.2.3.5"   # of accession numbers that do not say who gave them; our own without it
# order_authority = "1.2.3.6"       # the same of order numbers

[systems]                           # what code systems are called below. DCM, SCT, LOINC and CONFIDENTIALITY are known.
IHE = "1.3.6.1.4.1.19376.1.2.6.1"
# LOCAL = "1.2.3.99"

# What the domain has: value, system, words. What we publish is one of these. Without a list: what is built in.
[codes]
class = [["IMAGES", "IHE", "Images"]]
type = [
    ["18748-4", "LOINC", "Diagnostic imaging study"],
    ["24627-2", "LOINC", "CT Chest"],
    ["24606-6", "LOINC", "MG Breast Screening"],
]
facility = [["22232009", "SCT", "Hospital"]]
practice_setting = [["394914008", "SCT", "Radiology"]]
confidentiality = [
    ["N", "CONFIDENTIALITY", "normal"],
    ["R", "CONFIDENTIALITY", "restricted"],
]
content_type = [["18748-4", "LOINC", "Diagnostic imaging study"]]
# event = [["CT", "DCM", "Computed Tomography"]]      # without it: every modality of DICOM CID 29
# region = [["816094009", "SCT", "Thorax"]]             # without it: the regions of DICOM CID 4
# format = [["1.2.840.10008.5.1.4.1.1.88.59", "1.2.840.10008.2.6.1", "Manifest"]]   # only checked: we publish this one

# Where no row below says otherwise. An attribute without a default is not guessed: a study that no row fits is held.
[default]
class = "IMAGES"
type = "18748-4"
facility = "22232009"
practice_setting = "394914008"
confidentiality = ["N"]
content_type = "18748-4"
region = ""                         # a body part that is not known has no region; without this line it is held

# The first row that fits and gives an attribute decides it. Conditions: modality, procedure ("CODE" or "CODE^SYSTEM", of
# Procedure Code Sequence), body_part (Body Part Examined), institution (* and ? stand for anything); all that a row names
# must hold. It gives one or more of the attributes above; event adds codes beside modality and region.
[[map]]
procedure = "CTCHEST^99LOCAL"
type = "24627-2"

[[map]]
modality = "MG"
type = "24606-6"

[[map]]
body_part = "THORAX"                # a word of this site's own for a region
region = "816094009"

[[map]]
institution = "Private Clinic*"
confidentiality = ["R"]
"""


def annotated() -> str:
    """Every setting, its default, and what it means."""
    return TEXT


def annotated_codes() -> str:
    """The codes that we publish with, and the table that leads to them."""
    return CODES
