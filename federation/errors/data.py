"""TF5xx: DICOM intake, de-identification, labels and cohorts."""
