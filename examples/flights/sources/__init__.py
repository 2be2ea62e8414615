"""The five sources of the flights pipeline, real servers on 127.0.0.1: HTTP API, FTP, PostgreSQL, drop folder, queue; and a mailbox."""
