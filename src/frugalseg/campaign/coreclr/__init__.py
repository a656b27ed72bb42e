"""Experiment files of CoreCLR (al-seg): their keys, and what each means as a campaign."""
