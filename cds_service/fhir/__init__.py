"""Reading FHIR R4: narrow structs, dates, references and values that are not exact."""
