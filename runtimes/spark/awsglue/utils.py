"""getResolvedOptions: the job's arguments by name."""

import argparse

_RESERVED = ("job-bookmark-option", "job-bookmark-from", "job-bookmark-to", "JOB_ID", "JOB_RUN_ID", "SECURITY_CONFIGURATION",
             "encryption-type", "enable-data-lineage", "RedshiftTempDir", "TempDir")


class GlueArgumentError(Exception):
    pass


class GlueArgumentParser(argparse.ArgumentParser):
    def error(self, msg):
        raise GlueArgumentError(msg)


def getResolvedOptions(args, options):
    """The values of `options` in `args` (--NAME VALUE); those that are missing are an error, others are ignored."""
    reserved = {name.replace("-", "_") for name in _RESERVED}
    clash = [name for name in options if name.replace("-", "_") in reserved - {"TempDir", "JOB_ID", "JOB_RUN_ID"}]
    if clash:
        raise RuntimeError(f"Using reserved arguments {clash}")
    parser = GlueArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--job-bookmark-option", default="job-bookmark-disable",
                        choices=["job-bookmark-enable", "job-bookmark-pause", "job-bookmark-disable"])
    for name in _RESERVED[1:]:
        if name not in options:
            parser.add_argument(f"--{name}")
    for name in options:
        parser.add_argument(f"--{name}", required=True)
    parsed, _ = parser.parse_known_args(args[1:])
    return {name.replace("-", "_"): value for name, value in vars(parsed).items() if value is not None or name in options}
