"""Records, manifests, journal, locks, references, measurements, errors, configs, machine facts."""
