"""TF54x, TF55x: the ways in: PACS, DICOMweb, watched folders, the receiving port."""
