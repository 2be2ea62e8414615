"""Job bookmarks: what earlier runs of a job have read, by transformation_ctx. The server gives the state at the start of a run and keeps
what `job.commit()` leaves, when the run has succeeded.

Files in S3 count as read by their time: all before `until` less the band (`maxBand`, 900 s), and from then on those that `files` names
with their times and ETags, so that a file whose upload ended late, or that was written again, is read. Rows of a database count as read up to
the last values of their keys. Source: AWS Glue Developer Guide, "Tracking processed data using job bookmarks".
"""

import json
import os

ENABLE, PAUSE, DISABLE = "job-bookmark-enable", "job-bookmark-pause", "job-bookmark-disable"
BAND_SECONDS = 900


class _Run:
    """The bookmark of this run: None before Job.init and where the job keeps none."""

    def __init__(self, given):
        self.option, self.version = given["option"], given["version"]
        # With --job-bookmark-from the run begins where that run ended; with --job-bookmark-to it ends where that one did.
        self.state = given.get("from", given["state"])
        self.end = given.get("to")
        self.new = {}


_run = None


def begin(args):
    """Job.init."""
    global _run
    option = (args or {}).get("job_bookmark_option")
    path = os.environ.get("LAKERUN_BOOKMARK")
    if option == DISABLE or (not path and option in (None, "")):
        _run = None
        return
    if not path:
        raise RuntimeError(f"{option}: it takes the job argument --job-bookmark-option, given when the job is started")
    with open(path) as file:
        given = json.load(file)
    if given.get("error"):
        raise ValueError(given["error"])
    if (option or given["option"]) not in (ENABLE, PAUSE):
        raise ValueError(f"--job-bookmark-option is {option or given['option']}: it takes {ENABLE}, {PAUSE} or {DISABLE}")
    if given["option"] == ENABLE and ("from" in given or "to" in given):
        raise ValueError(f"--job-bookmark-from and --job-bookmark-to go with --job-bookmark-option {PAUSE}")
    _run = _Run({**given, "option": option or given["option"]})


def commit():
    """Job.commit: what this run has read so far is the bookmark that it leaves if it succeeds."""
    if _run is None or _run.option != ENABLE:
        return
    from lakerun_spark import launcher

    launcher.bookmark = {"version": _run.version, "state": {**_run.state, **_run.new}}


def active(ctx):
    """Whether a source of this transformation_ctx keeps a bookmark."""
    return bool(_run is not None and ctx)


def unread(ctx, items):
    """Of the files (`lakerun_spark.s3.Input`) those that no earlier run has read, the oldest first. Nothing is noted yet: see `read`."""
    if not active(ctx):
        return items
    old, end = _entry(_run.state, ctx, "s3"), _entry(_run.end, ctx, "s3") if _run.end is not None else None
    kept = [item for item in items if not _covers(old, item) and (_run.end is None or _covers(end, item))]
    return sorted(kept, key=lambda item: (item.modified, item.key))


def read(ctx, items, band=None):
    """Notes that these files are read in this run."""
    if not active(ctx):
        return
    old = _run.new.get(ctx) or _entry(_run.state, ctx, "s3") or {"source": "s3", "until": 0, "band": BAND_SECONDS * 1000, "files": {}}
    band = old["band"] if band in (None, "") else int(float(band) * 1000)
    until = max([old["until"], *(item.modified for item in items)])
    files = {**old["files"], **{item.url: [item.modified, item.etag] for item in items}}
    _run.new[ctx] = {"source": "s3", "until": until, "band": band, "files": {url: known for url, known in files.items() if _time(known) >= until - band}}


def _covers(entry, item):
    if entry is None:
        return False
    if item.modified < entry["until"] - entry["band"]:
        return True
    known = entry["files"].get(item.url)
    if isinstance(known, list):
        return known == [item.modified, item.etag]
    # Of an older release: the time alone, in milliseconds.
    return known is not None and known // 1000 == item.modified // 1000


def _time(known):
    return known[0] if isinstance(known, list) else known


def _entry(state, ctx, source):
    found = (state or {}).get(ctx)
    if found is not None and found["source"] != source:
        raise ValueError(f"the bookmark of transformation_ctx {ctx} is that of a source of another kind ({found['source']}): give this source a name of its own")
    return found


def rows(ctx, keys, descending):
    """The key values after which, and up to which, rows of a database are to be read: (after, upto), each a list or None."""
    if not active(ctx):
        return None, None
    found = []
    for state in (_run.state, _run.end):
        entry = _entry(state, ctx, "jdbc")
        if entry is not None and (entry["keys"], entry["descending"]) != (keys, descending):
            raise ValueError(f"the bookmark of transformation_ctx {ctx} has the keys {', '.join(entry['keys'])}, this run has {', '.join(keys)}: "
                             "reset the job's bookmark, or give this source another transformation_ctx")
        found.append(entry and entry["last"])
    if _run.end is not None and found[1] is None:
        return found[0], []
    return tuple(found)


def read_rows(ctx, keys, descending, last):
    """Notes the key values of the last row that is read in this run; None: there was none."""
    if active(ctx) and last is not None:
        _run.new[ctx] = {"source": "jdbc", "keys": keys, "descending": descending, "last": last}
