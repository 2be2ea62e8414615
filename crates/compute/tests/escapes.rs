//! Attempts to get out of the sandbox, as root and as a user, by units that were started, that were forked from a template, and that stood
//! by before they were anybody's. Each prints ESCAPED where it worked, or leaves something that is looked
//! for afterwards. Without the test harness: a server that is not root makes its namespaces before it has threads.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and says how far it came")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use compute::pyenv::{Base, PythonEnvs};
use compute::sandbox::template::{self, Template};
use compute::sandbox::{self, Capture, Command, Spare};

/// A user who owns nothing.
const NOBODY: u32 = 65_534;
const KEEP: Capture = Capture { bytes: 64 << 10 };

/// Name and Python source. `secret`, `server`, `victim`, `mark` and `tcp` are set before; `call` is a system call by its name.
const ATTEMPTS: &[(&str, &str)] = &[
    ("a daemon outlives its unit", "daemon([sys.executable, '-S', '-c', 'import time; time.sleep(600)', mark])"),
    (
        "a daemon without an environment outlives its unit",
        "daemon([sys.executable, '-S', '-c', 'import time; time.sleep(600)', mark], {})",
    ),
    (
        "a daemon that ignores signals outlives its unit",
        "daemon(['/bin/sh', '-c', 'trap \"\" TERM HUP INT; while :; do sleep 1; done; : ' + mark])",
    ),
    (
        "a process that left its group outlives its unit",
        "os.fork() or (os.setsid(), os.execv(sys.executable, [sys.executable, '-S', '-c', 'import time; time.sleep(600)', mark]))",
    ),
    (
        "another unit's environment",
        "for p in glob.glob('/proc/*/environ'):\n  with attempt(): say('victims-secret' in open(p, 'rb').read().decode('latin1'))",
    ),
    (
        "another unit's command line",
        "for p in glob.glob('/proc/*/cmdline'):\n  with attempt(): say(b'victims' + b'-argument' in open(p, 'rb').read())",
    ),
    ("another unit's memory", "with attempt(): open(f'/proc/{victim}/mem', 'rb').read(1); say(True)"),
    ("the server's processes are counted", "say(len([p for p in os.listdir('/proc') if p.isdigit()]) > 4)"),
    ("the server's environment", "with attempt(): say(b'PATH=' in open(f'/proc/{server}/environ', 'rb').read())"),
    ("a signal to the server", "with attempt(): os.kill(server, signal.SIGURG); say(True)"),
    ("a signal to another unit", "with attempt(): os.kill(victim, signal.SIGKILL); say(True)"),
    ("a signal to everybody", "with attempt(): os.kill(-1, signal.SIGURG)"),
    ("reading the data folder", "with attempt(): open(secret).read(); say(True)"),
    ("listing the data folder", "with attempt(): os.listdir(os.path.dirname(secret)); say(True)"),
    ("writing into the data folder", "with attempt(): open(secret, 'a').write('x'); say(True)"),
    (
        "the data folder by way of the first process",
        "for p in ('1', 'self', 'thread-self'):\n  for d in ('root', 'cwd'):\n    with attempt(): open(f'/proc/{p}/{d}{secret}').read(); say(True)",
    ),
    ("the data folder by way of its parents", "with attempt(): open('../' * 40 + secret[1:]).read(); say(True)"),
    ("the data folder by a link", "with attempt(): os.symlink(secret, 'link'); open('link').read(); say(True)"),
    (
        "a file of the server that was left open",
        "for f in range(3, 256):\n  with attempt(): say(b'the secret' in os.pread(f, 4096, 0))",
    ),
    (
        "writing to the system's folders",
        "for d in ('/etc', '/usr', '/usr/lib', '/bin', '/', '/dev', '/proc', '/sys/devices/system'):\n  with attempt(): open(d + '/lakerun-escape', 'w'); say(True)",
    ),
    ("the machine's passwords", "with attempt(): open('/etc/shadow').read(); say(True)"),
    (
        "the machine's settings",
        "for p in ('kernel/core_pattern', 'vm/drop_caches', 'kernel/modprobe', 'net/ipv4/ip_forward'):\n  with attempt(): open('/proc/sys/' + p, 'r+').write('x'); say(True)",
    ),
    ("the machine's keyboard", "with attempt(): open('/proc/sysrq-trigger', 'w').write('h'); say(True)"),
    (
        "the machine's devices",
        "for d in ('mem', 'kmem', 'port', 'kmsg', 'vda', 'sda', 'nvme0n1', 'fuse', 'kvm'):\n  with attempt(): open('/dev/' + d, 'rb'); say(True)",
    ),
    (
        "a device of one's own",
        "with attempt(): os.mknod('disk', 0o660 | stat.S_IFBLK, os.makedev(254, 0)); open('disk', 'rb').read(1); say(True)",
    ),
    ("mounting", "say(call('mount', b'tmpfs', b'/tmp', b'tmpfs', 0, 0) == 0)"),
    ("making the root writable", "say(call('mount', 0, b'/', 0, 0x1020, 0) == 0)"),
    ("unmounting", "say(call('umount2', b'/etc', 2) == 0)"),
    (
        "a namespace of one's own",
        "for flag in (0x10000000, 0x20000, 0x20000000, 0x40000000):\n  say(call('unshare', flag) == 0)",
    ),
    ("a namespace by clone", "r = call('clone', 0x10000000 | 17, 0, 0, 0, 0)\nif r == 0: os._exit(0)\nsay(r > 0)"),
    (
        "a namespace by clone3",
        "import struct\nr = call('clone3', struct.pack('8Q', 0x10000000, 0, 0, 0, 17, 0, 0, 0), 64)\nif r == 0: os._exit(0)\nsay(r > 0)",
    ),
    ("another root", "with attempt(): os.chroot('.'); say(True)"),
    (
        "another user",
        "with attempt(): os.setuid(0); say(os.geteuid() == 0 and open('/proc/self/status').read().count('0000000000000000') < 5)",
    ),
    (
        "capabilities",
        "text = open('/proc/self/status').read()\nfor name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):\n  say(f'{name}:\\t0000000000000000' not in text)\nsay('NoNewPrivs:\\t1' not in text)\nsay('Seccomp:\\t2' not in text)",
    ),
    ("tracing another", "say(call('ptrace', 16, victim, 0, 0) == 0)"),
    (
        "the kernel's less guarded doors",
        "for name in ('bpf', 'userfaultfd', 'io_uring_setup', 'keyctl', 'perf_event_open'):\n  say(call(name, 0, 0, 0, 0, 0) >= 0 or ctypes.get_errno() != errno.EPERM)",
    ),
    (
        "sockets of other kinds",
        "for family, kind, protocol in ((17, 3, 0), (40, 1, 0), (38, 5, 0), (16, 3, 4)):\n  with attempt(): socket.socket(family, kind, protocol); say(True)",
    ),
    ("the machine's name", "with attempt(): socket.sethostname('escaped'); say(True)"),
    ("shared memory of the machine", "import ctypes\nsay(libc.shmget(0x1a4e12, 0, 0) >= 0)"),
    (
        "more processes than allowed",
        "n = 0\ntry:\n  while n < 400:\n    if os.fork() == 0: time.sleep(60); os._exit(0)\n    n += 1\nexcept OSError: pass\nsay(n >= 64)",
    ),
    (
        "filling the disk",
        "try:\n  with open('/tmp/big', 'wb') as f:\n    for _ in range(64): f.write(b'x' * (1 << 20))\n  say(True)\nexcept OSError as e: say(e.errno != errno.ENOSPC)",
    ),
    ("filling the root", "with attempt():\n  with open('/big', 'wb') as f: f.write(b'x'); say(True)"),
    ("a terminal's input", "import fcntl\nwith attempt(): fcntl.ioctl(0, 0x5412, b'x'); say(True)"),
];

/// What only units of templates could try: what lies in memory that they have of it, its process, and the unit's way in.
const OF_TEMPLATES: &[(&str, &str)] = &[
    ("a file of the template", "for f in range(3, 1024):\n  with attempt(): os.fstat(f); say(True)"),
    ("the template's environment", "say(any(n.startswith('LAKERUN_TEMPLATE') for n in os.environ))"),
    (
        "the template by its group",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nos.kill(0, signal.SIGTERM)\nsay(os.getpgid(0) == 0 or os.getppid() != 1)",
    ),
    (
        "the template's namespaces",
        "for kind in ('pid', 'mnt', 'ipc', 'uts', 'user'):\n  with attempt(): say(libc.setns(os.open(f'/proc/1/ns/{kind}', os.O_RDONLY), 0) == 0)",
    ),
];

const BEFORE: &str = r"
import contextlib, ctypes, errno, glob, os, platform, signal, socket, stat, sys, time
libc = ctypes.CDLL(None, use_errno=True)
numbers = dict(mount=(165, 40), umount2=(166, 39), unshare=(272, 97), clone=(56, 220), clone3=(435, 435), ptrace=(101, 117), bpf=(321, 280),
    userfaultfd=(323, 282), io_uring_setup=(425, 425), keyctl=(250, 219), perf_event_open=(298, 241))
def call(name, *arguments):
    number = numbers[name][platform.machine() == 'aarch64']
    return libc.syscall(ctypes.c_long(number), *[a if isinstance(a, bytes) else ctypes.c_long(a) for a in arguments])
def say(escaped):
    if escaped: print('ESCAPED', flush=True)
@contextlib.contextmanager
def attempt():
    try: yield
    except (OSError, ValueError, PermissionError): pass
def daemon(command, environment=None):
    if os.fork(): return
    os.setsid()
    if os.fork(): os._exit(0)
    os.chdir('/')
    for f in range(256):
        with attempt(): os.close(f)
    os.execve(command[0], command, os.environ if environment is None else environment)
";

fn main() {
    sandbox::enter();
    let arguments: Vec<_> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let [_, mode, mark] = arguments.as_slice()
        && mode == "server"
    {
        runtime.block_on(server(mark));
        return;
    }
    runtime.block_on(attempts());
    if rustix::process::geteuid().is_root() {
        // The same again as a user, who must be able to execute this file.
        let copy = tempfile::tempdir().unwrap();
        let program = copy.path().join("escapes");
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        for path in [copy.path(), &program] {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let status = std::process::Command::new(&program).uid(NOBODY).gid(NOBODY).status().unwrap();
        assert!(status.success(), "escaped as a user");
    }
}

async fn attempts() {
    let who = if rustix::process::geteuid().is_root() { "root" } else { "a user" };
    if !sandbox::is_isolated().await {
        println!("skipped as {who}: {}", sandbox::warnings().await.join(" "));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let python = python(folder.path()).await;
    let secret = folder.path().join("data/secret");
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(&secret, "the secret").unwrap();
    // Left open without the flag that closes it, as a library might.
    let open = std::fs::File::open(&secret).unwrap();
    rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty()).unwrap();
    shared_memory();
    let mut victim = unit(&python, "import time, sys; print('up', flush=True); time.sleep(600)", folder.path());
    victim.env("SECRET", "victims-secret").arg("victims-argument");
    let mut victim = victim.spawn().await.unwrap();

    let template = template(&python, folder.path()).await;
    let spares = Spares::new(&python, folder.path(), &template).await;
    let ways = [Way::Alone, Way::Forked(&template)].into_iter().chain(spares.as_ref().map(Way::StandingBy));
    let mut tried = 0;
    for way in ways {
        let more = if matches!(way, Way::Alone) { &[] } else { OF_TEMPLATES };
        for (name, attempt) in ATTEMPTS.iter().chain(more) {
            let mark = format!("lakerun-escape-{}-{}", std::process::id(), name.replace(' ', "-"));
            let source = format!(
                "{BEFORE}secret, server, victim, mark = {:?}, {}, {}, {mark:?}\n{attempt}\nprint('tried', flush=True)\n",
                secret.to_str().unwrap(),
                std::process::id(),
                victim.group().id(),
            );
            let output = way.run(&python, &source, folder.path()).await;
            let who = format!("{who}{}", way.name());
            tried += 1;
            let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(!said.contains("ESCAPED"), "as {who}: {name}: {said}{errors}");
            let killed_itself = output.exit.signal().is_some();
            assert!(said.contains("tried") || killed_itself, "as {who}: {name} was not tried: {said}{errors}");
            assert!(!is_alive(&mark), "as {who}: {name}: it is still there");
            assert!(!victim.has_ended(), "as {who}: {name}: another unit was ended");
            assert!(template.is_alive(), "as {who}: {name}: the template was ended");
        }
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "the secret");
    drop(victim);
    orders_leave_nothing(&python, &template, folder.path(), who).await;
    if let Some(spares) = &spares {
        what_stands_by_is_nobodys(&python, spares, folder.path(), who).await;
    }
    after_kill_of_the_server();
    println!("{tried} attempts as {who}, none escaped");
}

/// How a unit comes to be.
enum Way<'a> {
    Alone,
    Forked(&'a Template),
    StandingBy(&'a Spares<'a>),
}

impl Way<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Alone => "",
            Self::Forked(_) => " of a template",
            Self::StandingBy(_) => " of one that stood by",
        }
    }

    async fn run(&self, python: &Base, source: &str, folder: &Path) -> sandbox::Output {
        let limit = Some(Duration::from_mins(10));
        let mut command = unit(python, source, folder);
        let output = match self {
            Self::Alone => command.output(KEEP, limit).await,
            Self::Forked(template) => command.env("SOURCE", source).output_from(template, KEEP, limit).await,
            Self::StandingBy(spares) => spares.unit(folder, source).output_of(spares.one().await, KEEP, limit).await,
        };
        output.unwrap()
    }
}

/// Units that stand by.
struct Spares<'a> {
    template: &'a Template,
    alike: Command,
    nothing: PathBuf,
}

impl<'a> Spares<'a> {
    /// None where the server may not mount.
    async fn new(python: &Base, folder: &Path, template: &'a Template) -> Option<Self> {
        let nothing = folder.join("nothing");
        std::fs::create_dir(&nothing).unwrap();
        let mut alike = Command::new(&python.executable);
        alike.read_only(&python.prefix).show(&nothing, PLACE);
        alike.temporary_mb(16).memory_mb(512).processes(64).merged();
        let spares = Self { template, alike, nothing };
        let started = Spare::start(template, &spares.alike, &[Path::new(PLACE)]).await;
        if let Err(error) = &started
            && !rustix::process::geteuid().is_root()
        {
            println!("none stands by: {error}");
            return None;
        }
        drop(started.unwrap());
        Some(spares)
    }

    async fn one(&self) -> Spare {
        Spare::start(self.template, &self.alike, &[Path::new(PLACE)]).await.unwrap()
    }

    fn unit(&self, folder: &Path, source: &str) -> Command {
        let own = tempfile::tempdir_in(folder).unwrap().keep();
        std::fs::write(own.join("own"), "its own").unwrap();
        std::fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        self.with(&own, source)
    }

    fn with(&self, own: &Path, source: &str) -> Command {
        let mut command = self.alike.clone();
        command.show(own, PLACE).folder(PLACE).env("SOURCE", source);
        command
    }
}

/// Where the folder of one that stands by comes.
const PLACE: &str = "/var/task";

/// It has its own folder, which it cannot write to or uncover, and nothing of another's; what does not fit is told; one that is not
/// wanted goes.
async fn what_stands_by_is_nobodys(python: &Base, spares: &Spares<'_>, folder: &Path, who: &str) {
    let limit = Some(Duration::from_mins(10));
    let first = spares.unit(
        folder,
        "import os, time\nos.environ['LEFT'] = 'left'\nopen('/tmp/left', 'w').close()\nprint(open('own').read())",
    );
    let output = first.output_of(spares.one().await, KEEP, limit).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "its own", "as {who}");
    let source = format!(
        "{BEFORE}\nwith attempt(): open('new', 'w'); say(True)\nsay(os.path.exists('/tmp/left') or 'LEFT' in os.environ)\n\
         say(call('umount2', b'{PLACE}', 2) == 0)\nsay(open('own').read() != 'its own')\nprint(os.listdir('.'), os.getcwd())"
    );
    let output = spares.unit(folder, &source).output_of(spares.one().await, KEEP, limit).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said.trim(), format!("['own'] {PLACE}"), "as {who}: {}", String::from_utf8_lossy(&output.stderr));

    let spare = spares.one().await;
    assert!(spare.fits(&spares.unit(folder, "")));
    assert!(spare.fits(&spares.with(&spares.nothing, "")));
    let mut other = spares.unit(folder, "");
    assert!(!spare.fits(other.temporary_mb(17)), "another /tmp");
    let mut other = spares.unit(folder, "");
    assert!(!spare.fits(other.read_only(folder)), "more to see");
    let mut other = spares.unit(folder, "");
    assert!(!spare.fits(other.mount(folder, PLACE)), "a folder that it may write to");
    assert!(!spare.fits(&unit(python, "", folder)), "no folder");
    assert!(!spare.fits(spares.unit(folder, "").as_server()), "the server's user");
    let first = spare.group().id();
    drop(spare);
    let began = std::time::Instant::now();
    while Path::new(&format!("/proc/{first}")).exists() {
        assert!(began.elapsed() < Duration::from_mins(10), "one that nobody wants is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A fork has all of the template's memory, but no earlier fork's variables.
async fn orders_leave_nothing(python: &Base, template: &Template, folder: &Path, who: &str) {
    let limit = Some(Duration::from_mins(10));
    let hidden = "S".repeat(40) + "-of-another";
    // Of several lengths: what an allocator gives again is wiped by chance.
    for padding in [1, 100_000, 10] {
        let mut command = unit(python, "", folder);
        let command = command.env("SOURCE", "import os\nprint(len(os.environ['HIDDEN']))");
        let command = command.env("PADDING", "p".repeat(padding)).env("HIDDEN", &hidden);
        let output = command.output_from(template, KEEP, limit).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said.trim(), hidden.len().to_string(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let source = r"
import os, re
# Which does not match itself.
sought, found, seen = re.compile(b'S{40}-of-another'), 0, 0
memory = os.open('/proc/self/mem', os.O_RDONLY)
for line in open('/proc/self/maps'):
    start, end = (int(n, 16) for n in line.split()[0].split('-'))
    if 'rw' not in line or '[v' in line: continue
    while start < end:
        try: piece = os.pread(memory, min(end - start, 1 << 16), start)
        except OSError: break
        if not piece: break
        seen += len(piece)
        found += len(sought.findall(piece))
        del piece
        start += min(end - start, (1 << 16) - 256)
print('found', found, seen > 1 << 20)
";
    let mut command = unit(python, "", folder);
    let output = command.env("SOURCE", source).output_from(template, KEEP, limit).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.trim(), "found 0 True", "as {who}: another unit's variables: {errors}");
}

/// One whose forks run what their environment holds.
async fn template(python: &Base, folder: &Path) -> Template {
    let program = folder.join("template.py");
    std::fs::write(&program, format!("{}\n{FORKED}", template::PROGRAM)).unwrap();
    let mut command = Command::new(&python.executable);
    command.arg("-S").arg(&program).read_only(&python.prefix).read_only(&program);
    Template::start(&command).await.unwrap()
}

const FORKED: &str = r"
# What is freed stays in memory, as it does where there is much that was freed before.
if hasattr(LIBC, 'mallopt'):
    LIBC.mallopt(-4, 0)
    LIBC.mallopt(-1, 1 << 30)
serve(int(os.environ['LAKERUN_TEMPLATE']), lambda: sorted(os.environ))
source = os.environ.pop('SOURCE')
try:
    exec(source, {})
except BaseException:
    import traceback
    traceback.print_exc()
    os._exit(1)
sys.stdout.flush()
os._exit(0)
";

/// A unit with a folder and a /tmp of 16 MB.
fn unit(python: &Base, source: &str, folder: &Path) -> Command {
    let own = tempfile::tempdir_in(folder).unwrap().keep();
    let mut command = Command::new(&python.executable);
    command.args(["-S", "-c", source]).read_only(&python.prefix);
    command.folder(&own).read_write(&own).temporary_mb(16).memory_mb(512).processes(64);
    command
}

async fn python(folder: &Path) -> Base {
    let envs = PythonEnvs::new(folder.join("envs"), "python3".into());
    let base = envs.base().await.unwrap();
    // A user may not see the interpreter that root's PATH names.
    let usual = PathBuf::from("/usr/bin/python3");
    if rustix::process::geteuid().is_root() || !usual.exists() {
        return base.clone();
    }
    PythonEnvs::new(folder.join("envs"), usual).base().await.unwrap().clone()
}

/// A piece of memory of the machine's that everybody may read.
fn shared_memory() {
    let flags = libc::IPC_CREAT | 0o666;
    #[expect(unsafe_code, reason = "System V memory is made by a plain system call")]
    // SAFETY: takes no memory of ours.
    let made = unsafe { libc::shmget(0x001a_4e12, 4096, flags) };
    assert!(made >= 0);
}

fn is_alive(mark: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|process| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let own = process.file_name().to_str() == Some(&std::process::id().to_string());
        !own && String::from_utf8_lossy(&line).contains(mark)
    })
}

/// A server of one unit that starts daemons; it says when they run.
async fn server(mark: &str) {
    let folder = tempfile::tempdir().unwrap();
    let python = python(folder.path()).await;
    let source = format!(
        "{BEFORE}mark = {mark:?}\nfor e in (None, {{}}): daemon([sys.executable, '-S', '-c', 'import time; time.sleep(600)', mark], e)\n\
         time.sleep(600)\n"
    );
    let _child = unit(&python, &source, folder.path()).spawn().await.unwrap();
    while !is_alive(mark) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let template = template(&python, folder.path()).await;
    let forked = format!(
        "{BEFORE}daemon([sys.executable, '-S', '-c', 'import time; time.sleep(600)', {mark:?} + '-forked'])\ntime.sleep(600)\n"
    );
    let mut of_template = unit(&python, "", folder.path());
    let _forked = of_template.env("SOURCE", &forked).spawn_from(&template).await.unwrap();
    while !is_alive(&format!("{mark}-forked")) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("running");
    std::io::stdout().flush().unwrap();
    std::future::pending::<()>().await;
}

fn after_kill_of_the_server() {
    let mark = format!("lakerun-escape-{}-after-kill", std::process::id());
    let mut server = std::process::Command::new(std::env::current_exe().unwrap());
    let mut server = server.args(["server", &mark]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "running\n");
    server.kill().unwrap();
    server.wait().unwrap();
    // The kernel ends them by itself; only how soon is its own matter.
    let began = std::time::Instant::now();
    while is_alive(&mark) {
        // The server's own command line holds the mark until it is gone.
        assert!(began.elapsed() < Duration::from_mins(10), "daemons outlive a killed server");
        std::thread::sleep(Duration::from_millis(20));
    }
}
