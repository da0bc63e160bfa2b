"""DICOM files as bytes and as pixels."""
