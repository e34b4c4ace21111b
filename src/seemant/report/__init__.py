"""The self-contained page of a study, from manifests and the files beside them alone."""
