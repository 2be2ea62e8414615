#!/usr/bin/env python3
"""hits.py FOLDER QUERIES ROWS: a table `hits` with the columns of ClickBench's as Parquet, and the queries of a file as queries.json.

QUERIES is ClickBench's `trino/queries.sql` (github.com/ClickHouse/ClickBench; not ours to give), one query a line. Its data cannot be had
everywhere, so these are made: values and their frequencies resemble the real ones (few pages have most views, most searches are empty), but
no figure here is comparable with those that ClickBench publishes. Wants duckdb.
"""
import json
import pathlib
import sys

import duckdb

folder, queries, rows = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])

# Names of the columns by type; those that the queries read are made below, the rest are what most rows of the real ones are: 0 or empty.
SMALL = """JavaEnable GoodEvent CounterClass OS UserAgent Refresh RefererCategoryID URLCategoryID ResolutionWidth ResolutionHeight ResolutionDepth
FlashMajor FlashMinor NetMajor NetMinor UserAgentMajor CookieEnable JavascriptEnable IsMobile MobilePhone TraficSourceID SearchEngineID AdvEngineID
IsArtifical WindowClientWidth WindowClientHeight ClientTimeZone SilverlightVersion1 SilverlightVersion2 SilverlightVersion4 IsLink IsDownload
IsNotBounce IsOldCounter IsEvent IsParameter DontCountHits WithHash Age Sex Income Interests Robotness HistoryLength HTTPError
SocialSourceNetworkID ParamCurrencyID HasGCLID""".split()
WHOLE = """CounterID ClientIP RegionID RefererRegionID URLRegionID IPNetworkID SilverlightVersion3 CodeVersion HID RemoteIP WindowName OpenerName
SendTiming DNSTiming ConnectTiming ResponseStartTiming ResponseEndTiming FetchTiming CLID""".split()
LARGE = "WatchID UserID FUniqID ParamPrice RefererHash URLHash".split()
TEXT = """Title URL Referer FlashMinor2 UserAgentMinor MobilePhoneModel Params SearchPhrase PageCharset OriginalURL HitColor BrowserLanguage
BrowserCountry SocialNetwork SocialAction SocialSourcePage ParamOrderID ParamCurrency OpenstatServiceName OpenstatCampaignID OpenstatAdID
OpenstatSourceID UTMSource UTMMedium UTMCampaign UTMContent UTMTerm FromTag""".split()
TIME = "EventTime ClientEventTime LocalEventTime".split()


def among(salt, many):
    """A number below `many`, small ones far more often: the cube of a uniform one."""
    return f"CAST(floor({many} * pow((hash(i * 40 + {salt}) % 1000003) / 1000003.0, 3)) AS BIGINT)"


def one_in(salt, many, value, otherwise):
    return f"CASE WHEN hash(i * 40 + {salt}) % {many} = 0 THEN {value} ELSE {otherwise} END"


SITE = f"(CASE WHEN page % 97 = 5 THEN 'www.google.' ELSE 'site' || (page % 500) || '.example.' END)"
MADE = {
    "WatchID": "CAST(hash(i) >> 1 AS BIGINT)",
    "UserID": f"CAST(hash({among(1, max(rows // 6, 1))}) >> 1 AS BIGINT)",
    "CounterID": f"{among(2, 6000)} + 62",
    "RegionID": among(3, 9000),
    "ClientIP": f"CAST(hash({among(4, max(rows // 4, 1))}) % 2000000000 AS BIGINT) - 1000000000",
    "EventDate": f"DATE '2013-07-01' + CAST(hash(i * 40 + 5) % 31 AS INTEGER)",
    "URL": f"'http://' || {SITE} || 'com/' || (page % 30) || '/article-' || page || '?from=' || (hash(page) % 1000)",
    "Title": f"CASE WHEN page % 53 = 7 THEN 'Search by Google: ' ELSE 'An article of ' END || page || ' - and what it is about'",
    "Referer": one_in(7, 5, f"'http://www.referer' || {among(8, 900)} || '.example.org/list/' || {among(9, 40000)}", "''"),
    "SearchPhrase": one_in(10, 8, f"'words to look for ' || {among(11, max(rows // 20, 1))}", "''"),
    "SearchEngineID": one_in(10, 8, among(12, 40), "0"),
    "AdvEngineID": one_in(13, 60, f"1 + {among(14, 30)}", "0"),
    "MobilePhone": one_in(15, 12, among(16, 90), "0"),
    "MobilePhoneModel": one_in(15, 12, f"'phone ' || {among(17, 150)}", "''"),
    "ResolutionWidth": f"320 + 10 * {among(18, 200)}",
    "WindowClientWidth": f"320 + {among(19, 1600)}",
    "WindowClientHeight": f"200 + {among(20, 1000)}",
    "Refresh": one_in(21, 9, "1", "0"),
    "IsLink": one_in(22, 7, "1", "0"),
    "IsDownload": one_in(23, 50, "1", "0"),
    "DontCountHits": one_in(24, 20, "1", "0"),
    "TraficSourceID": f"{among(25, 10)} - 1",
    "URLHash": one_in(26, 40, "2868770270353813622", "CAST(hash(page) >> 1 AS BIGINT)"),
    "RefererHash": one_in(27, 40, "3594120000172545465", f"CAST(hash({among(8, 900)}) >> 1 AS BIGINT)"),
}
NUMBERS = {**dict.fromkeys(SMALL, "SMALLINT"), **dict.fromkeys(WHOLE, "INTEGER"), **dict.fromkeys(LARGE, "BIGINT")}
columns = [f"CAST({MADE.get(name, '0')} AS {kind}) AS {name}" for name, kind in NUMBERS.items()]
columns += [f"CAST({MADE.get(name, repr(''))} AS VARCHAR) AS {name}" for name in TEXT]
columns += [f"{MADE['EventDate']} AS EventDate"]
columns += [f"CAST({MADE['EventDate']} AS TIMESTAMP) + to_seconds(CAST(hash(i * 40 + 6) % 86400 AS INTEGER)) AS {name}" for name in TIME]

folder.mkdir(parents=True, exist_ok=True)
duckdb.execute(f"COPY (SELECT {', '.join(columns)} FROM (SELECT i, {among(30, 60000)} AS page FROM range({rows}) AS t(i))) "
               f"TO '{folder / 'hits.parquet'}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)")
lines = [line.strip().rstrip(";") for line in queries.read_text().splitlines() if line.strip()]
(folder / "queries.json").write_text(json.dumps(dict(enumerate(lines, 1)), indent=1))
