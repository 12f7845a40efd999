"""What of an installation works: versions, devices, extras, and what is broken."""

from modellego.diagnosis.verb import Device, Diagnosis, Package, doctor

__all__ = ["Device", "Diagnosis", "Package", "doctor"]
