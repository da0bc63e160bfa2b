"""How files arrive: watched folder, C-STORE, C-FIND/C-MOVE/C-GET, DICOMweb; one inbox for all."""
