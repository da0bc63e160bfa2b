"""TF58x, TF59x: the catalogue's database, cohort queries, labels and masks from DICOM and FHIR."""
