//! The tables.

use super::{
    Funnel, Played,
    faults::Outcome,
    judge::{Case, KINDS},
};

/// One line for one play.
pub(super) fn line(played: &Played, seed: u64) {
    let wrong: Vec<String> = played
        .cases
        .iter()
        .filter(|case| !case.is_right())
        .map(|case| format!("{} {}→{}", case.service, case.truth, case.answer))
        .collect();
    println!(
        "  {:<24} seed {seed:<3} {:>5.1} s  {} of {} cases right  {} series, {} steps{}{}",
        played.story,
        played.seconds,
        played.cases.len() - wrong.len(),
        played.cases.len(),
        played.series,
        played.steps,
        if wrong.is_empty() { "" } else { "; not: " },
        wrong.join(", "),
    );
}

fn percent(part: usize, of: usize) -> String {
    if of == 0 { "–".into() } else { format!("{:.1} %", 100.0 * part as f64 / of as f64) }
}

/// The middle one; none of an empty list.
fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// All figures over all plays.
pub(super) fn summary(played: &[Played]) {
    let cases: Vec<&Case> = played.iter().flat_map(|one| &one.cases).collect();
    matrix(&cases);
    let (faults, calm): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| case.truth != "none");
    let right = |cases: &[&Case]| cases.iter().filter(|case| case.truth == case.answer).count();
    println!(
        "\nkind right: {} of {} cases ({}); with a fault {}, without {}",
        right(&cases),
        cases.len(),
        percent(right(&cases), cases.len()),
        percent(right(&faults), faults.len()),
        percent(right(&calm), calm.len())
    );
    let wanted: Vec<(bool, bool)> = faults.iter().filter_map(|case| case.entity).collect();
    let first = wanted.iter().filter(|(first, _)| *first).count();
    let three = wanted.iter().filter(|(_, three)| *three).count();
    println!(
        "entity right, of {} cases that want one: first {}, among three {}",
        wanted.len(),
        percent(first, wanted.len()),
        percent(three, wanted.len())
    );
    let after: Vec<i64> = faults.iter().filter_map(|case| case.right_after).collect();
    let never = faults.len() - after.len();
    // Those never right count as later than all others.
    let all = median(after.into_iter().chain(std::iter::repeat_n(i64::MAX, never)).collect());
    let told = match all {
        Some(i64::MAX) => "never in half of the cases".to_owned(),
        Some(millis) => format!("{:.1} min in the median", millis as f64 / 60_000.0),
        None => "no case with a fault".to_owned(),
    };
    println!("from felt to the first right verdict: {told}; never right: {never} of {}", faults.len());
    let wrong: f64 = cases.iter().map(|case| case.confidently_wrong).sum();
    println!("confidently wrong: {:.1} % of the time judged", 100.0 * wrong / cases.len().max(1) as f64);
    felt(played);
    fault_by_fault(played);
    funnel(played);
    let seconds: f64 = played.iter().map(|one| one.seconds).sum();
    println!("{:.1} s in all, {:.1} s for a play", seconds, seconds / played.len().max(1) as f64);
}

fn matrix(cases: &[&Case]) {
    println!("\nrows: true, columns: said (cases)");
    println!("  {:<16}{}", "", KINDS.map(|kind| format!("{kind:>16}")).concat());
    for truth in KINDS.iter().filter(|kind| **kind != "unknown") {
        let counts = KINDS.map(|answer| cases.iter().filter(|c| c.truth == *truth && c.answer == answer).count());
        println!("  {truth:<16}{}", counts.map(|count| format!("{count:>16}")).concat());
    }
}

/// How soon users' symptoms were told, story by story, and which were told for nothing.
fn felt(played: &[Played]) {
    println!("\nsymptoms (objectives not kept, drift), by fault and service: minutes after it began, – for never");
    let mut names: Vec<&str> = played.iter().map(|one| one.story.as_str()).collect();
    names.dedup();
    for name in names {
        let of: Vec<&Played> = played.iter().filter(|one| one.story == name).collect();
        let after = of.iter().flat_map(|one| &one.felt.after);
        let told: Vec<String> = after
            .map(|(service, after)| {
                after.map_or(format!("{service} –"), |millis| format!("{service} {:.1}", millis as f64 / 6e4))
            })
            .collect();
        println!("  {name:<24}{}", told.join(", "));
        for one in of.iter().flat_map(|one| &one.felt.for_nothing) {
            println!("    for nothing: {one}");
        }
    }
}

/// How many faults were found with the right cause, which were not, and how often people were disturbed about each.
fn fault_by_fault(played: &[Played]) {
    let all: Vec<&Outcome> = played.iter().flat_map(|one| &one.faults).collect();
    let found = all.iter().filter(|fault| fault.is_found()).count();
    let told: usize = all.iter().map(|fault| fault.notifications).sum();
    println!(
        "\nfaults found with the right cause: {found} of {}; notifications while they stood: {told}, {:.2} a fault",
        all.len(),
        told as f64 / all.len().max(1) as f64
    );
    for one in played {
        let noteworthy = |fault: &&Outcome| !fault.is_found() || fault.notifications != 1;
        for fault in one.faults.iter().filter(noteworthy) {
            let said: Vec<String> = fault
                .said
                .iter()
                .map(|(service, answer, right)| {
                    format!("{service} {answer}{}", if *right { "" } else { " (not right)" })
                })
                .collect();
            println!(
                "  {:<24}{:>7.1} min  {}: {}, {} notifications{}; said: {}",
                one.story,
                fault.minute,
                fault.parts,
                if fault.is_found() { "found" } else { "NOT found" },
                fault.notifications,
                if fault.named { " that name it" } else { "" },
                if said.is_empty() { "no service is judged".to_owned() } else { said.join(", ") }
            );
        }
        for told in &one.for_nothing {
            println!(
                "  {:<24}{:>7.1} min  for nothing: #{} {}",
                one.story,
                told.at as f64 / 6e4,
                told.incident,
                told.title
            );
        }
    }
}

fn funnel(played: &[Played]) {
    let mut names: Vec<&str> = played.iter().map(|one| one.story.as_str()).collect();
    names.dedup();
    println!(
        "\n{:<26}{:>8}{:>10}{:>8}{:>10}{:>14}{:>12}{:>8}",
        "mean of a play", "faults", "findings", "alerts", "incidents", "notifications", "resolutions", "s"
    );
    let row = |name: &str, of: &[&Played]| {
        let mean = |what: &dyn Fn(&Played) -> f64| of.iter().map(|one| what(one)).sum::<f64>() / of.len().max(1) as f64;
        let part = |what: fn(&Funnel) -> usize| mean(&|one| what(&one.funnel) as f64);
        println!(
            "{name:<26}{:>8.1}{:>10.1}{:>8.1}{:>10.1}{:>14.1}{:>12.1}{:>8.1}",
            mean(&|one| one.faults.len() as f64),
            part(|f| f.findings),
            part(|f| f.alerts),
            part(|f| f.incidents),
            part(|f| f.notifications),
            part(|f| f.resolutions),
            mean(&|one| one.seconds)
        );
    };
    for name in names {
        row(name, &played.iter().filter(|one| one.story == name).collect::<Vec<_>>());
    }
    row("all", &played.iter().collect::<Vec<_>>());
}
