"""Compression: fewer bits a weight, written as files that run, with exact accounts of both."""
