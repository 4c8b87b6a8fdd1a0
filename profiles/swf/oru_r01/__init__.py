"""ORU^R01: a study's images are available. Source: RAD EBIW supplement; RAD TF-2 4.128; HL7 v2.5.1 chapter 7."""

from profiles.swf.oru_r01.messages import ACCEPTED, Acknowledgement, StudyAvailable, Visit
from profiles.swf.oru_r01.spec import ORU_R01

__all__ = ["ACCEPTED", "ORU_R01", "Acknowledgement", "StudyAvailable", "Visit"]
