"""Lakerun's side of a Glue job: engine start, launcher, and what makes Sail behave as Glue's Spark does."""
