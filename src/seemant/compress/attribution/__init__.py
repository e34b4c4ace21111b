"""Attribution: what a variant lost, layer by layer, kind by kind, language by language."""
