"""From DICOM files to a private, catalogued dataset; README.md is the map."""
