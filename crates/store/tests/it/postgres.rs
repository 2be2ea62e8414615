//! A PostgreSQL server of the tests' own, where its programs are found: on the `PATH`, where Debian has them, or in `POSTGRES_BIN`.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use store::postgres::{Database, Lease};

/// `nobody`: PostgreSQL does not run as root.
const NOBODY: u32 = 65534;
/// Long enough for no test to be asked for its lease while the machine is busy.
const LASTS: Duration = Duration::from_hours(1);

struct Server {
    folder: PathBuf,
    /// It ends the server when this process does, by whatever way: its input is closed then.
    _guard: Child,
}

/// A database of its own: its URL. `None`, with the reason on the error output: there is no PostgreSQL here.
pub(crate) fn database() -> Option<String> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    static DATABASES: AtomicUsize = AtomicUsize::new(0);
    let server = SERVER.get_or_init(start).as_ref()?;
    let schema = format!("test{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let socket = server.folder.display().to_string().replace('/', "%2F");
    Some(format!("postgres://lakerun@{socket}/postgres?options=-csearch_path%3D{schema}"))
}

/// A database of its own, and the right to write to it.
pub(crate) fn owned() -> Option<(Database, Lease)> {
    let database = Database::open(&database()?).unwrap();
    let lease = database.take("http://test", LASTS).unwrap().unwrap();
    Some((database, lease))
}

fn start() -> Option<Server> {
    let Some(programs) = programs() else {
        #[expect(clippy::print_stderr, reason = "a test says why it tests nothing")]
        {
            eprintln!(
                "skipped on PostgreSQL: neither on the PATH, nor in /usr/lib/postgresql, nor in POSTGRES_BIN is there an initdb"
            );
        }
        return None;
    };
    let folder = tempfile::Builder::new().prefix("lakerun-pg").tempdir_in("/tmp").unwrap().keep();
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if is_root {
        chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let script = "\
        \"$1/initdb\" -D \"$2/data\" -U lakerun -A trust --locale=C -E UTF8 --no-sync >\"$2/log\" 2>&1 || exit
        \"$1/pg_ctl\" -D \"$2/data\" -w -t 600 -l \"$2/log\" -o \"-k '$2' -c listen_addresses= -c max_connections=300\" start >&2 || exit
        echo ready
        cat >/dev/null
        \"$1/pg_ctl\" -D \"$2/data\" -m immediate stop >/dev/null 2>&1; rm -rf \"$2\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(&programs).arg(&folder).current_dir(&folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut guard = command.spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(guard.stdout.take().unwrap()), &mut line).unwrap();
    assert_eq!(line, "ready\n", "{}", std::fs::read_to_string(folder.join("log")).unwrap_or_default());
    Some(Server { folder, _guard: guard })
}

fn programs() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|e| e.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let given = std::env::var_os("POSTGRES_BIN").map(PathBuf::from);
    let mut all = given.into_iter().chain(std::env::split_paths(&path)).chain(debian);
    all.find(|folder| folder.join("initdb").exists()).map(|folder| real(&folder))
}

/// Where the programs themselves are: initdb looks for postgres beside itself.
fn real(folder: &Path) -> PathBuf {
    let program = folder.join("initdb").canonicalize().unwrap();
    program.parent().unwrap().to_owned()
}
