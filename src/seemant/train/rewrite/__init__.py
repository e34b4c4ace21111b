"""Answers in the student's own words."""
