//! Remote-write bodies (1.0, snappy), encoded once into files before any server runs, so that the sender has next to nothing to
//! do and every server is posted the very same bytes. Machines are dealt out to connections; each connection sends its own
//! machines from old to new.

use super::{
    Plan,
    fleet::{Host, SERIES_PER_HOST},
};
use std::{
    fs::File,
    io::{BufWriter, Write},
    os::unix::fs::FileExt,
    path::Path,
};
use tandem_wire::remote_write::{OutgoingSeries, Protocol, encode};

/// Where a body stands, and what it holds.
#[derive(Debug, Clone, Copy)]
pub struct Body {
    offset: u64,
    length: usize,
    /// Samples in it.
    pub samples: usize,
    /// The first of its steps.
    pub step: usize,
}

/// The bodies of one connection, in order.
pub struct Bodies {
    file: File,
    /// Oldest first.
    pub list: Vec<Body>,
}

impl Bodies {
    /// Encodes the bodies of all connections into files in a folder, on as many threads as there are processors.
    pub fn encode(plan: &Plan, folder: &Path) -> Vec<Self> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut made: Vec<Option<Self>> = (0..plan.connections).map(|_| None).collect();
        for (group, places) in made.chunks_mut(threads).enumerate() {
            std::thread::scope(|scope| {
                for (place, one) in places.iter_mut().enumerate() {
                    scope.spawn(move || *one = Some(Self::of_connection(plan, folder, group * threads + place)));
                }
            });
        }
        made.into_iter().map(|one| one.expect("every connection has its bodies")).collect()
    }

    fn of_connection(plan: &Plan, folder: &Path, connection: usize) -> Self {
        let path = folder.join(format!("bodies-{connection}"));
        let file = File::create_new(&path).expect("a new file");
        let mut writer = BufWriter::new(file);
        let (first, last) =
            (plan.hosts * connection / plan.connections, plan.hosts * (connection + 1) / plan.connections);
        let mut hosts: Vec<Host> = (first..last).map(Host::new).collect();
        let labels: Vec<_> = hosts.iter().flat_map(|host| host.labels().to_vec()).collect();
        let mut series: Vec<OutgoingSeries<'_>> = labels
            .iter()
            .map(|labels| OutgoingSeries {
                labels: labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
                ..OutgoingSeries::default()
            })
            .collect();
        let (mut list, mut offset) = (Vec::new(), 0);
        for step in (0..plan.steps).step_by(plan.steps_per_body) {
            let steps = step..(step + plan.steps_per_body).min(plan.steps);
            series.iter_mut().for_each(|one| one.samples.clear());
            for at in steps.clone().map(|step| plan.at(step)) {
                for (host, own) in hosts.iter_mut().zip(series.chunks_mut(SERIES_PER_HOST)) {
                    own.iter_mut().zip(host.advance()).for_each(|(one, value)| one.samples.push((at, *value)));
                }
            }
            for part in series.chunks((plan.samples_per_body / steps.len()).max(1)) {
                let bytes = encode(Protocol::V1, part).expect("far shorter than 4 GiB");
                writer.write_all(&bytes).expect("there is space for the bodies");
                let samples = part.len() * steps.len();
                list.push(Body { offset, length: bytes.len(), samples, step: steps.start });
                offset += bytes.len() as u64;
            }
        }
        drop(writer.into_inner().expect("written"));
        Self { file: File::open(path).expect("it is there"), list }
    }

    /// The bytes of a body.
    pub fn read(&self, body: &Body) -> Vec<u8> {
        let mut bytes = vec![0; body.length];
        self.file.read_exact_at(&mut bytes, body.offset).expect("a body that was written");
        bytes
    }

    /// Bytes of all bodies.
    pub fn bytes(&self) -> u64 {
        self.list.iter().map(|body| body.length as u64).sum()
    }
}
