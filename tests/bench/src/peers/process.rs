//! A server as a process of its own: started, looked at through `/proc`, asked to end.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// Ticks of `/proc/PID/stat` in a second: what Linux shows to programs on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;
/// A server that takes longer to end has failed to: Prometheus writes its head down first.
const END_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a server that was asked to end is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A running program; killed when dropped.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a program in a folder; what it says goes to `log` there.
    pub fn start(program: &Path, arguments: &[String], folder: &Path) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).expect("a log");
        let child = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        Self { child }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Processor time of it and of its children that ended, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds(&self.id().to_string())
    }

    /// A line of `/proc/PID/status` in MB (10^6 bytes), such as `VmHWM`, its largest resident memory so far.
    pub fn megabytes(&self, line: &str) -> f64 {
        megabytes(&self.id().to_string(), line)
    }

    /// Asks it to end and waits for that.
    pub fn stop(mut self) {
        let asked = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.id())]).status();
        assert!(asked.is_ok_and(|status| status.success()), "the server could not be asked to stop");
        let began = Instant::now();
        while self.ended().is_none() {
            assert!(began.elapsed() < END_TIMEOUT, "the server does not end");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Ends it without a word, as a machine does that runs out of memory.
    pub fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of this program so far, in seconds.
pub fn own_cpu_seconds() -> f64 {
    cpu_seconds("self")
}

/// A line of this program's `/proc/self/status` in MB.
pub fn own_megabytes(line: &str) -> f64 {
    megabytes("self", line)
}

fn megabytes(process: &str, line: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kibibytes = found.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    kibibytes.unwrap_or(f64::NAN) * 1024.0 / 1e6
}

fn cpu_seconds(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything; utime, stime, cutime and cstime are the 12th to 15th after it.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

/// An address on loopback that was free a moment ago.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}
