"""What training is measured against, in a venv of its own, and how trainers take turns."""
