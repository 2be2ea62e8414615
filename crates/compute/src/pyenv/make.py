"""Makes a virtual environment: make.py PARTIAL FINAL REQUIREMENTS CACHE wheels|any. Built in PARTIAL, to be renamed to FINAL.

`wheels`: nothing of what is installed runs. What comes as sources, whose setup.py may do anything, is an error then, but for the packages of
OWN, in exact versions. pip runs out of a wheel and is not installed: quicker, and it works where the distribution split ensurepip off.
"""
import glob, os, re, subprocess, sys, venv
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit
from urllib.request import urlopen

partial, final, requirements, cache, kinds = sys.argv[1:6]
# What the platform's own environments need and PyPI has as sources only.
OWN = re.compile(r"(pyspark|pyspark-client)==[0-9.]+")


def bundled_wheel():
    folders = ["/usr/share/python-wheels"]
    try:
        import ensurepip
        folders.insert(0, os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"))
    except ImportError:
        pass
    for folder in folders:
        wheels = sorted(glob.glob(os.path.join(folder, "pip-*.whl")))
        if wheels:
            return wheels[-1]


def downloaded_wheel():
    have = sorted(glob.glob(os.path.join(cache, "pip-*.whl")))
    if have:
        return have[-1]
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/pip/"
    links = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attrs):
            links.extend(value for name, value in attrs if tag == "a" and name == "href" and value)

    with urlopen(index, timeout=60) as page:
        Links().feed(page.read().decode())
    # The newest release that is no pre-release.
    wheels = []
    for link in links:
        name = os.path.basename(urlsplit(link).path)
        match = re.fullmatch(r"pip-(\d+(?:\.\d+)*)-py3-none-any\.whl", name)
        if match:
            wheels.append((tuple(map(int, match[1].split("."))), name, urljoin(index, link)))
    _, name, url = max(wheels)
    path = os.path.join(cache, name)
    with urlopen(url, timeout=60) as wheel, open(path + ".part", "wb") as file:
        file.write(wheel.read())
    os.replace(path + ".part", path)
    return path


venv.EnvBuilder(symlinks=True, with_pip=False).create(partial)
python = os.path.join(partial, "bin", "python")
with open(requirements) as file:
    wanted = file.read().strip()
if wanted:
    pip = bundled_wheel() or downloaded_wheel()
    command = [python, os.path.join(pip, "pip"), "install", "--no-input", "--disable-pip-version-check",
               "--no-warn-script-location", "--progress-bar", "off"]
    steps = [["-r", requirements]]
    if kinds == "wheels":
        own = [line for line in wanted.splitlines() if OWN.fullmatch(line)]
        steps = [["--no-deps", *own]] * bool(own) + [["--only-binary", ":all:", "-r", requirements]]
    for step in steps:
        code = subprocess.run(command + step).returncode
        if code:
            sys.exit(code)
# Scripts name the interpreter by its place.
for name in os.listdir(os.path.join(partial, "bin")):
    path = os.path.join(partial, "bin", name)
    if os.path.islink(path) or not os.path.isfile(path):
        continue
    with open(path, "rb") as file:
        text = file.read()
    if partial.encode() in text:
        with open(path, "wb") as file:
            file.write(text.replace(partial.encode(), final.encode()))
