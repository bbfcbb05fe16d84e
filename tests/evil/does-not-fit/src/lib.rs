//! Attack: asks the host for an interface that is not in the contract, by which it could reach anything.

use evil_honest::Deed;
use tandem_sdk::{
    detector::{Frame, Observation},
    types::Failure,
};

#[allow(missing_docs, unused, clippy::all, reason = "generated")]
mod private {
    wit_bindgen::generate!({
        inline: r#"
            package vendor:private@1.0.0;
            interface shell {
                run: func(command: string) -> string;
            }
            world guest {
                import shell;
            }
        "#,
        world: "vendor:private/guest",
    });
}

/// The guest.
#[derive(Debug)]
pub struct DoesNotFit;

impl Deed for DoesNotFit {
    const NAME: &str = "evil-does-not-fit";

    fn observe(_: &[Frame]) -> Result<Observation, Failure> {
        Err(Failure::refused(private::vendor::private::shell::run("id")))
    }
}

evil_honest::detector!(DoesNotFit);
