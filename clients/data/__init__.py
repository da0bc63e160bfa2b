"""From DICOM files to a private, catalogued dataset."""
