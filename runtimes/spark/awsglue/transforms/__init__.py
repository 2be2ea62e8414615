"""The transforms as classes: ApplyMapping.apply(frame=..., mappings=...) and so on."""


class GlueTransform:
    @classmethod
    def apply(cls, *args, **kwargs):
        return cls()(*args, **kwargs)

    def name(self):
        return type(self).__name__


def _method(name, method):
    def call(self, frame, *args, **kwargs):
        for ignored in ("transformation_ctx", "info", "stageThreshold", "totalThreshold"):
            kwargs.pop(ignored, None)
        return getattr(frame, method)(*args, **kwargs)

    return type(name, (GlueTransform,), {"__call__": call})


ApplyMapping = _method("ApplyMapping", "apply_mapping")
DropFields = _method("DropFields", "drop_fields")
DropNullFields = _method("DropNullFields", "drop_nulls")
RenameField = _method("RenameField", "rename_field")
ResolveChoice = _method("ResolveChoice", "resolveChoice")
SelectFields = _method("SelectFields", "select_fields")
Spigot = _method("Spigot", "spigot")
SplitFields = _method("SplitFields", "split_fields")
SplitRows = _method("SplitRows", "split_rows")
ErrorsAsDynamicFrame = _method("ErrorsAsDynamicFrame", "errorsAsDynamicFrame")
UnnestFrame = _method("UnnestFrame", "unnest")
Filter = _method("Filter", "filter")
Map = _method("Map", "map")
Unbox = _method("Unbox", "unbox")


class Join(GlueTransform):
    def __call__(self, frame1, frame2, keys1, keys2, transformation_ctx="", **_):
        keys1, keys2 = [[k] if isinstance(k, str) else list(k) for k in (keys1, keys2)]
        return frame1.join(keys1, keys2, frame2)


class Relationalize(GlueTransform):
    """The class has the staging path before the name of the root, the method of a frame has it after."""

    def __call__(self, frame, staging_path=None, name="roottable", options=None, transformation_ctx="", **_):
        return frame.relationalize(name, staging_path)


class SelectFromCollection(GlueTransform):
    def __call__(self, dfc, key, transformation_ctx="", **_):
        return dfc.select(key)


class MapToCollection(GlueTransform):
    def __call__(self, dfc, callable, transformation_ctx="", **_):
        return dfc.map(callable)


class _Refused(GlueTransform):
    def __call__(self, *_, **__):
        raise NotImplementedError(f"{self.name()} is not in Lakerun")


class FindMatches(_Refused):
    pass


class FindIncrementalMatches(_Refused):
    pass


class FillMissingValues(_Refused):
    pass


class FlatMap(GlueTransform):
    """A function over each frame of a collection."""

    def __call__(self, dfc, BaseTransform, frame_name="frame", transformation_ctx="", **base_kwargs):
        def made(frame, name):
            return BaseTransform.apply(**{frame_name: frame, **base_kwargs})

        return dfc.flatmap(made)


__all__ = ["ApplyMapping", "DropFields", "DropNullFields", "ErrorsAsDynamicFrame", "FillMissingValues", "Filter", "FindIncrementalMatches", "FindMatches",
           "FlatMap", "GlueTransform", "Join", "Map", "MapToCollection", "Relationalize", "RenameField", "ResolveChoice",
           "SelectFields", "SelectFromCollection", "Spigot", "SplitFields", "SplitRows", "Unbox", "UnnestFrame"]
