//! Linux software RAID: `/proc/mdstat` (format: drivers/md/md.c, `md_seq_show`), under node_exporter's names.

use tandem_sdk::{gathering::Gathering, host::Files, types::Failure};

/// States under which node_exporter tells an array; one is 1, the others 0.
const STATES: [&str; 5] = ["active", "inactive", "recovering", "resync", "check"];

/// One array as `/proc/mdstat` tells it.
#[derive(Debug, Clone, PartialEq)]
struct Array {
    device: String,
    state: &'static str,
    /// Members that work, have failed, or wait as spares.
    active: u64,
    failed: u64,
    spare: u64,
    required: u64,
    /// In blocks of 1 KiB.
    blocks: u64,
    synced: u64,
    /// Belongs to firmware RAID's container, which holds no data and is always called inactive.
    is_container: bool,
}

/// `/proc/mdstat`; a kernel without software RAID has no such file.
pub(crate) fn collect(files: &dyn Files, g: &mut Gathering) -> Result<(), Failure> {
    let Ok(text) = files.read_text("/proc/mdstat") else { return Ok(()) };
    for array in arrays(&text).iter().filter(|array| !array.is_container) {
        let device = ("device", array.device.as_str());
        for state in STATES {
            g.gauge("node_md_state", &[device, ("state", state)], f64::from(u8::from(state == array.state)));
        }
        for (state, count) in [("active", array.active), ("failed", array.failed), ("spare", array.spare)] {
            g.gauge("node_md_disks", &[device, ("state", state)], count as f64);
        }
        g.gauge("node_md_disks_required", &[device], array.required as f64);
        g.gauge("node_md_degraded", &[device], array.required.saturating_sub(array.active) as f64);
        g.gauge("node_md_blocks", &[device], array.blocks as f64);
        g.gauge("node_md_blocks_synced", &[device], array.synced as f64);
    }
    Ok(())
}

fn arrays(text: &str) -> Vec<Array> {
    let mut arrays: Vec<Array> = Vec::new();
    let mut in_array = false;
    for line in text.lines() {
        let is_indented = line.starts_with([' ', '\t']);
        if !is_indented {
            in_array = false;
            if let Some(array) = line.split_once(" : ").filter(|(device, _)| device.starts_with("md")).map(head) {
                arrays.push(array);
                in_array = true;
            }
        } else if let Some(array) = arrays.last_mut().filter(|_| in_array) {
            detail(array, line.trim());
        }
    }
    arrays
}

/// `md3 : active raid6 sda1[8] sdh1[7](F) sdd1[10](S)`.
fn head((device, rest): (&str, &str)) -> Array {
    let mut words = rest.split_ascii_whitespace();
    let state = if words.next() == Some("active") { "active" } else { "inactive" };
    let members: Vec<&str> = words.filter(|word| word.contains('[')).collect();
    let count = |mark: &str| members.iter().filter(|member| member.contains(mark)).count() as u64;
    let (failed, spare) = (count("(F)"), count("(S)"));
    let active = members.len() as u64 - failed - spare;
    let device = device.trim().to_owned();
    Array { device, state, active, failed, spare, required: active, blocks: 0, synced: 0, is_container: false }
}

/// The lines below: `5853468288 blocks super 1.2 level 6 … [8/7] [UUUUUUU_]` and
/// `[=>…]  recovery = 8.5% (16775552/195310144) finish=17.0min speed=259783K/sec`.
fn detail(array: &mut Array, line: &str) {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    if let Some(blocks) = words.windows(2).find(|pair| pair[1] == "blocks").and_then(|pair| pair[0].parse().ok()) {
        array.blocks = blocks;
        array.synced = blocks;
        array.is_container = line.contains("super external:") && !line.contains("super external:/");
        let counts = words.iter().find_map(|word| word.strip_prefix('[')?.strip_suffix(']')?.split_once('/'));
        if let Some((required, active)) = counts.and_then(|(r, a)| Some((r.parse().ok()?, a.parse().ok()?))) {
            array.required = required;
            array.active = active;
        }
        return;
    }
    for (word, state) in [("recovery", "recovering"), ("resync", "resync"), ("reshape", "resync"), ("check", "check")] {
        if words.iter().any(|known| *known == word || known.starts_with(&format!("{word}="))) {
            array.state = state;
            let done = words.iter().find_map(|word| word.strip_prefix('(')?.strip_suffix(')')?.split_once('/'));
            if let Some((done, all)) = done.and_then(|(d, a)| Some((d.parse::<u64>().ok()?, a.parse::<u64>().ok()?))) {
                // The progress counts one member's blocks, and so does node_exporter's `blocks_synced`.
                array.synced = done.min(all);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MDSTAT: &str = "Personalities : [raid1] [raid6]\n\
md3 : active raid6 sda1[8] sdh1[7] sdg1[6](F) sdd1[10](S)\n      5853468288 blocks super 1.2 level 6, 64k chunk, algorithm 2 [4/2] [UU__]\n\n\
md6 : active raid1 sdb2[2](F) sdc[1](S) sda2[0]\n      195310144 blocks [2/1] [U_]\n      [=>...................]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec\n\n\
md127 : inactive sda[1](S) sdb[0](S)\n      5032 blocks super external:imsm\n\n\
md9 : active raid1 sdc2[2] sdd2[3]\n      523968 blocks super 1.2 [2/2] [UU]\n        resync=DELAYED\n\nunused devices: <none>\n";

    #[test]
    fn members_and_progress_are_read() {
        let arrays = arrays(MDSTAT);
        assert_eq!(arrays.len(), 4);
        assert_eq!((arrays[0].required, arrays[0].active, arrays[0].failed, arrays[0].spare), (4, 2, 1, 1));
        assert_eq!((arrays[1].state, arrays[1].synced), ("recovering", 16_775_552));
        assert!(arrays[2].is_container);
        assert_eq!((arrays[3].state, arrays[3].required), ("resync", 2));
    }
}
