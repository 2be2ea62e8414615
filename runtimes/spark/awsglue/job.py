"""Job.init and commit: the beginning and the end of what a bookmark covers."""

from . import bookmarks


class Job:
    def __init__(self, glue_context):
        self._glue_context = glue_context
        self._name = None

    def init(self, job_name, args=None):
        bookmarks.begin(args)
        self._name = job_name

    def isInitialized(self):
        return self._name is not None

    def commit(self):
        if self._name is None:
            raise RuntimeError("Job.commit called before Job.init")
        bookmarks.commit()
