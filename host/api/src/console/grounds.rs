//! What a verdict rests on, in words: how far it is to be believed, what the trouble costs, and what is suggested.

use maud::{Markup, html};
use tandem_domain::verdict::{Cost, Grounds};

use super::page::sentence;

/// Further candidates that are named.
const MAX_OTHERS: usize = 3;

/// Everything there is to say of it; nothing where nothing was asked.
pub(super) fn told(grounds: &Grounds) -> Markup {
    let others: Vec<&str> = grounds.candidates.iter().skip(1).take(MAX_OTHERS).map(|one| one.name.as_str()).collect();
    html! {
        @if let Some(suggestion) = &grounds.suggestion { p { strong { "Do: " } (sentence(&suggestion.sentence)) } }
        @if let Some(cost) = grounds.cost.as_ref().and_then(costs) { p { strong { "It costs: " } (cost) } }
        @if let Some(believed) = believed(grounds) { p.quiet { (believed)
            @if !others.is_empty() { " Next most likely: " (others.join(", ")) "." } } }
        @for caveat in &grounds.caveats { p.quiet { (sentence(caveat)) } }
    }
}

/// How far the cause is to be believed.
fn believed(grounds: &Grounds) -> Option<String> {
    let percent = (grounds.confidence * 100.0).round();
    match (grounds.confident, grounds.doubt.is_empty()) {
        (true, _) => Some(format!("This is {percent:.0} % sure.")),
        (false, false) => Some(format!("This is not sure: {}", sentence(&grounds.doubt))),
        (false, true) => None,
    }
}

/// What it has cost so far, as far as that was counted.
fn costs(cost: &Cost) -> Option<String> {
    let counted = [
        (cost.failed_requests, "requests failed"),
        (cost.late_requests, "were answered too late"),
        (cost.wrong_predictions, "predictions were wrong"),
    ];
    let counted: Vec<String> =
        counted.iter().filter(|(count, _)| *count >= 0.5).map(|(count, what)| format!("{count:.0} {what}")).collect();
    match (counted.is_empty(), cost.predictions) {
        (true, 0) => None,
        (true, made) => Some(format!("nothing that was counted, of {made} predictions since it began.")),
        (false, 0) => Some(format!("{} since it began.", counted.join(", "))),
        (false, made) => Some(format!("{}, of {made} predictions since it began.", counted.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_told_as_far_as_they_were_counted() {
        assert_eq!(costs(&Cost::default()), None);
        let cost = Cost { failed_requests: 12.2, late_requests: 0.0, wrong_predictions: 3.0, predictions: 90 };
        let told = costs(&cost).expect("told");
        assert_eq!(told, "12 requests failed, 3 predictions were wrong, of 90 predictions since it began.");
        assert!(costs(&Cost { predictions: 5, ..Cost::default() }).expect("told").starts_with("nothing"));
    }

    #[test]
    fn doubt_is_told_and_silence_is_no_doubt() {
        assert_eq!(believed(&Grounds::default()), None);
        let sure = Grounds { confident: true, confidence: 0.914, ..Grounds::default() };
        assert_eq!(believed(&sure).as_deref(), Some("This is 91 % sure."));
        let unsure = Grounds { doubt: "two are as likely".into(), ..Grounds::default() };
        assert_eq!(believed(&unsure).as_deref(), Some("This is not sure: Two are as likely."));
    }
}
