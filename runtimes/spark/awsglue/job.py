"""Job.init and commit. Bookmarks are not kept yet: a job that asks for them is refused rather than run without."""


class Job:
    def __init__(self, glue_context):
        self._glue_context = glue_context
        self._name = None

    def init(self, job_name, args=None):
        option = (args or {}).get("job_bookmark_option") or "job-bookmark-disable"
        if option != "job-bookmark-disable":
            raise NotImplementedError(f"{option}: Lakerun keeps no job bookmarks yet; set --job-bookmark-option to job-bookmark-disable")
        self._name = job_name

    def isInitialized(self):
        return self._name is not None

    def commit(self):
        if self._name is None:
            raise RuntimeError("Job.commit called before Job.init")
