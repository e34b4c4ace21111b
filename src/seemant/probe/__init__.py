"""All that measures behaviour: suites, matching, scores, margins, divergence, diagnoses."""
