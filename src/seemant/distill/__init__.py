"""From paragraphs to instruction pairs: teachers, a resumable loop, checks and their yields."""
