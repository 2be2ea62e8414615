"""Lakerun's own awsglue: Glue's job library over Spark Connect DataFrames, no JVM."""

from .dynamicframe import DynamicFrame, DynamicFrameCollection

__all__ = ["DynamicFrame", "DynamicFrameCollection"]
